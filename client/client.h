/* client/client.h -- liburd: submit sagas, stream files, hand out and revoke capabilities, from C.
 *
 *     static urd_err book(struct urd_cx *cx, void *arg)
 *     {
 *         struct urd_client *client;
 *         char why[URD_CLIENT_ERRMSG_MAX];
 *         urd_err err = urd_client_open(cx, NULL, &client, why);
 *         ...
 *     }
 *     int main(void) { return urd_client_main(book, NULL); }
 *
 * Everything runs in tasks of the runtime (runtime/runtime.h); every call blocks its task and is a
 * checkpoint.  A client may be used by any number of tasks at once.
 *
 * All functions fail in the same way: they return a code, write no out parameter but @errmsg, and
 * leave a sentence for people in @errmsg (URD_CLIENT_ERRMSG_MAX bytes, NUL-terminated; NULL: not
 * wanted).  Common to all: URD_E_UNREACHABLE, URD_E_TIMEOUT, URD_E_CANCELLED, URD_E_DENIED or
 * URD_E_REVOKED (the sentence names the caveat or action), URD_E_NOMEM, URD_E_TOO_BIG (checked
 * before anything is sent). */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "runtime/runtime.h"

#define URD_CLIENT_ERRMSG_MAX 512u
#define URD_SAGA_ID_TEXT      27u /* a ULID in text, with the NUL */

struct urd_client;

/* Where to find a node and what to show it.  Each NULL field falls back on the environment:
 * URD_NODE, URD_CAP, URD_PROFILE, URD_HOME (a node directory: its address, its trust, its
 * admin.cap). */
struct urd_client_options {
    const char *node;    /* "NAME=URL", or several, a comma between each two */
    const char *cap;     /* a token's text, "@FILE", or the name of a file that is there */
    const char *home;    /* a node directory */
    const char *profile; /* a client profile (`urd invite --client`) */
    uint64_t timeout_ns; /* of one request; 0: 10 s */
};

/* Run @body(@arg) on a runtime with the real world and nng; the process's exit status: 0 when it
 * returned URD_OK, else 1.  Blocks until it and all it spawned has ended.  SIGINT and SIGTERM
 * cancel it, a second one ends the process. */
int urd_client_main(urd_task_fn body, void *arg);
/* The same for a body that waits for signals itself (runtime/process.h), as a worker does that
 * drains. */
int urd_client_main_signals(urd_task_fn body, void *arg);

/* @options may be NULL (environment only).  Dials in the background; the first call finds out.
 * Errors besides: URD_E_CONFIG no node named anywhere; URD_E_DENIED a token that does not parse. */
URD_MUST_USE urd_err urd_client_open(struct urd_cx *cx, const struct urd_client_options *options,
                                     struct urd_client **ret, char *errmsg);
/* NULL is allowed.  No call may be under way. */
void urd_client_close(struct urd_cx *cx, struct urd_client *client);

/* Sagas.  Ids are ULIDs in text. */

struct urd_saga_receipt {
    char id[URD_SAGA_ID_TEXT];
    bool existed; /* the key was known: this is the saga it named before */
};
/* Submit @document (JSON text, design of docs/saga.md).  @key makes it idempotent: same key and
 * document, same saga; NULL: the document's own key, or one of this call, so that a retry inside it
 * is safe.  On URD_OK the saga is durable.  Errors besides: URD_E_INVALID (the sentence names
 * field and step), URD_E_CONFLICT same key, another document; URD_E_UNSUPPORTED;
 * URD_E_STORAGE_FULL. */
URD_MUST_USE urd_err urd_client_submit(struct urd_cx *cx, struct urd_client *client,
                                       const char *document, const char *key,
                                       struct urd_saga_receipt *ret, char *errmsg);

enum urd_saga_state {
    URD_SAGA_ACCEPTED,
    URD_SAGA_RUNNING,
    URD_SAGA_PAUSED,
    URD_SAGA_COMPENSATING,
    URD_SAGA_STUCK,
    URD_SAGA_HELD,
    URD_SAGA_COMMITTED,
    URD_SAGA_COMPENSATED
};
const char *urd_saga_state_name(enum urd_saga_state state);

/* Wait until saga @id has ended (or is stuck) or @deadline_ns.  Survives lost connections and a
 * restart of the node.  @ret_json (may be NULL): the saga as `urd saga show --json` prints it, for
 * free(). Errors besides: URD_E_NOT_FOUND; URD_E_TIMEOUT the saga goes on. */
URD_MUST_USE urd_err urd_client_wait(struct urd_cx *cx, struct urd_client *client, const char *id,
                                     uint64_t deadline_ns, enum urd_saga_state *ret_state,
                                     char **ret_json, char *errmsg);
/* Tell each journal record of saga @id from @since_seq on (0: the first) as it becomes durable, as
 * one JSON object (valid for the call), until the saga has ended, is stuck, or @deadline_ns.
 * Survives lost connections as urd_client_wait() does.  @tell must not block.
 * Errors besides: URD_E_NOT_FOUND; URD_E_TIMEOUT the saga goes on. */
typedef void (*urd_saga_record_fn)(void *arg, const char *record_json);
URD_MUST_USE urd_err urd_client_watch(struct urd_cx *cx, struct urd_client *client, const char *id,
                                      uint64_t since_seq, uint64_t deadline_ns,
                                      urd_saga_record_fn tell, void *arg,
                                      enum urd_saga_state *ret_state, char *errmsg);
/* The saga now, as JSON text for free(). */
URD_MUST_USE urd_err urd_client_show(struct urd_cx *cx, struct urd_client *client, const char *id,
                                     char **ret_json, char *errmsg);
/* Its journal from record @since_seq on: one JSON object a line, oldest first; text for free(). */
URD_MUST_USE urd_err urd_client_history(struct urd_cx *cx, struct urd_client *client,
                                        const char *id, uint64_t since_seq, char **ret_lines,
                                        char *errmsg);
struct urd_saga_filter {
    const char *state, *name;            /* NULL: any */
    const char *label_key, *label_value; /* NULL: any */
    int64_t since_ns;                    /* accepted at or after; 0: any */
    uint32_t limit;                      /* 0: 100 */
};
URD_MUST_USE urd_err urd_client_list(struct urd_cx *cx, struct urd_client *client,
                                     const struct urd_saga_filter *filter, char **ret_lines,
                                     char *errmsg);
/* Each is durable when it returns and idempotent under a request id made here.
 * Errors besides: URD_E_NOT_FOUND, URD_E_STATE, URD_E_PAST_PIVOT. */
URD_MUST_USE urd_err urd_client_cancel(struct urd_cx *cx, struct urd_client *client, const char *id,
                                       char *errmsg);
URD_MUST_USE urd_err urd_client_pause(struct urd_cx *cx, struct urd_client *client, const char *id,
                                      char *errmsg);
URD_MUST_USE urd_err urd_client_resume(struct urd_cx *cx, struct urd_client *client, const char *id,
                                       char *errmsg);
URD_MUST_USE urd_err urd_client_signal(struct urd_cx *cx, struct urd_client *client, const char *id,
                                       const char *name, const char *json, char *errmsg);
URD_MUST_USE urd_err urd_client_resolve(struct urd_cx *cx, struct urd_client *client,
                                        const char *id, const char *step, bool done, char *errmsg);
/* Complete a step that answered `later`, by its effect key. */
URD_MUST_USE urd_err urd_client_complete(struct urd_cx *cx, struct urd_client *client,
                                         const char *effect_key, const char *result_json,
                                         const char *fail_reason, char *errmsg);

/* Files.  A place on a node is "NODE:/PATH"; the path is below the node's root. */

struct urd_file_progress {
    const char *node; /* the other end; valid for the call */
    uint64_t bytes, bytes_total;
    double rate_bps, loss;
    uint64_t eta_ns; /* URD_FOREVER: not known */
};
struct urd_file_options {
    uint64_t rate_bps;     /* never more; 0: as the path allows */
    uint32_t symbol_bytes; /* 0: 1280 */
    bool no_resume;        /* forget what an earlier transfer left */
    /* A few times a second for each node, from any thread; must not block; may be NULL. */
    void (*progress)(void *arg, const struct urd_file_progress *progress);
    void *arg;
};
struct urd_file_result {
    char node[64];  /* the other end */
    char id[33];    /* the same when resumed */
    uint64_t bytes; /* moved this time */
    uint64_t datagrams;
    double seconds, goodput_bps, overhead, loss;
    char digest[65]; /* root digest; "" unless finished */
    urd_err err;     /* URD_OK: every byte is on disk under its name */
    char errmsg[URD_CLIENT_ERRMSG_MAX];
};
#define URD_FILE_TARGETS_MAX 16u
/* Send @paths (files, directories, links; named as cp names them) to @dest, "NODE:/PATH" or
 * "NODE,NODE:/PATH", to all at once.  One file to a PATH that is no directory takes that name; a
 * PATH that ends in "/" is one.  Each of @ret_count results (@ret has room for
 * URD_FILE_TARGETS_MAX) says how it went at its node; all are written once a transfer was begun,
 * else @ret_count is 0.  A cancel, or an error, leaves a state from which the same call goes on.
 * Errors besides, the first target's that failed: URD_E_CHANGED, URD_E_NOT_FOUND, URD_E_INVALID,
 * URD_E_STORAGE_FULL. */
URD_MUST_USE urd_err urd_client_send_files(struct urd_cx *cx, struct urd_client *client,
                                           const char *const *paths, uint32_t paths_count,
                                           const char *dest, const struct urd_file_options *options,
                                           struct urd_file_result *ret, uint32_t *ret_count,
                                           char *errmsg);
/* Fetch @source, "NODE:/PATH", to the local path @dest, as cp does.  What is under way lies in
 * ".urd-partial" beside it.  Errors besides: as above; URD_E_CORRUPT; URD_E_UNSUPPORTED several
 * nodes. */
URD_MUST_USE urd_err urd_client_fetch_file(struct urd_cx *cx, struct urd_client *client,
                                           const char *source, const char *dest,
                                           const struct urd_file_options *options,
                                           struct urd_file_result *ret, char *errmsg);

/* One entry of a node's files. */
enum urd_file_entry_kind { URD_ENTRY_OTHER, URD_ENTRY_FILE, URD_ENTRY_DIRECTORY, URD_ENTRY_LINK };
struct urd_file_entry {
    const char *name, *target; /* bytes as they are there; target "" unless a link */
    enum urd_file_entry_kind kind;
    uint32_t mode;
    uint64_t size_bytes;
    int64_t mtime_ns;
    const char *digest; /* root digest in hex; "" unless asked for and known */
};
typedef void (*urd_file_entry_fn)(void *arg, const struct urd_file_entry *entry);
/* Tell each entry of the directory @place, by name.  Errors besides: URD_E_NOT_FOUND. */
URD_MUST_USE urd_err urd_client_list_files(struct urd_cx *cx, struct urd_client *client,
                                           const char *place, urd_file_entry_fn tell, void *arg,
                                           char *errmsg);
URD_MUST_USE urd_err urd_client_stat_file(struct urd_cx *cx, struct urd_client *client,
                                          const char *place, bool digest, urd_file_entry_fn tell,
                                          void *arg, char *errmsg);
/* Remove a file, or with @recursive a directory and all in it. */
URD_MUST_USE urd_err urd_client_remove_file(struct urd_cx *cx, struct urd_client *client,
                                            const char *place, bool recursive, char *errmsg);

#endif
