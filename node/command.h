/* node/command.h -- the door by which the `urd` command does what is done on a node's own machine.
 *
 * Parsing of words and flags is the command's; these take what was meant.  All fail in the same
 * way: a code, no out parameter written, and a sentence in @errmsg (may be NULL). */
#ifndef NODE_COMMAND_H
#define NODE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/cx.h"

/* --- urd init --------------------------------------------------------------------------------- */

struct node_command_init {
    const char *dir;
    const char *name;
    const char *cluster;      /* NULL: "urd", or the invite's */
    const char *rpc;          /* "ADDR:PORT" or "ADDR:PORT,ADVERTISED"; NULL: 127.0.0.1:0 */
    const char *data;         /* likewise */
    const char *http;         /* "ADDR:PORT", loopback; NULL: off */
    const char *const *peers; /* "NAME=URL" each: addresses, never trust */
    size_t peers_count;
    const char *join; /* an invite's line; NULL: a new cluster, with a CA of its own */
    bool plain;       /* no TLS: loopback only */
};

/* Make a node directory; port 0 takes a free port and keeps it.  With an invite it asks the node
 * that wrote it, over TLS that is verified by the CA in the invite.  Blocks.
 * Errors: URD_E_EXISTS; URD_E_CONFIG an option is malformed; URD_E_INVALID the invite is;
 * URD_E_BUSY a port is in use; URD_E_UNREACHABLE the inviter; URD_E_DENIED it refused (used,
 * expired); runtime/file.h's. */
URD_MUST_USE urd_err node_command_init(struct urd_cx *cx, const struct node_command_init *options,
                                       char *errmsg, size_t errmsg_len);

/* --- urd node --------------------------------------------------------------------------------- */

/* Run the node in @dir on a runtime of its own until SIGTERM or SIGINT (drain, then leave: URD_OK)
 * or until it cannot go on.  When it serves: `READY=1` to systemd (NOTIFY_SOCKET) and the line
 * `ready name=… rpc=… data=… http=…` to standard output, flushed; nothing else is printed there.
 * No runtime may be running in this process.  Blocks the calling thread.
 * Errors: URD_E_NOT_FOUND, URD_E_CONFIG the directory; URD_E_BUSY another node runs on it, or a
 * port is in use; URD_E_IO the store failed: start again, it recovers; others as the parts answer.
 */
URD_MUST_USE urd_err node_command_run(const char *dir, char *errmsg, size_t errmsg_len);

/* --- urd verify, restore ---------------------------------------------------------------------- */

struct node_command_verify {
    const char *dir;
    const char *const *ledgers; /* texts of participants' ledgers (saga/ledger.h), NUL-terminated */
    size_t ledgers_count;
    bool require_ends; /* a saga that is still open is a breach too */
    /* Told every record of the journal, in order of commit, as a line of JSON; NULL: nobody is.
     * From a thread of the blocking pool: it must not call the runtime. */
    void (*record)(void *arg, const char *line);
    void *record_arg;
};

/* Walk the store of @dir, whose node does not run: every checksum, every saga's journal, and with
 * ledgers what the participants did, held against the invariants (docs/invariants.md).  *@ret_json,
 * for free(), is a report;
 * *@ret_sound whether nothing was wrong.  Blocks, long.
 * Errors: URD_E_BUSY the node runs; URD_E_NOT_FOUND; URD_E_INVALID a ledger has damaged lines;
 * those of storage_lmdb_open(). */
URD_MUST_USE urd_err node_command_verify(struct urd_cx *cx,
                                         const struct node_command_verify *options, char **ret_json,
                                         bool *ret_sound, char *errmsg, size_t errmsg_len);

/* Put the backup @from (a directory that `urd backup` made) in place as the store of the node
 * directory @dir, whose node does not run; the store that was there is kept beside it.  The next
 * start raises the incarnation and opens every saga paused.  Blocks.
 * Errors: URD_E_BUSY the node runs; URD_E_NOT_FOUND; URD_E_CORRUPT the backup is damaged. */
URD_MUST_USE urd_err node_command_restore(struct urd_cx *cx, const char *from, const char *dir,
                                          char *errmsg, size_t errmsg_len);

/* --- urd saga plan ---------------------------------------------------------------------------- */

/* Plan @document (JSON text) without asking a node: *@ret_json, for free(), is
 * {"batches":[{"monotone":true,"steps":[...]}],"durable_waits":{"calm":3,"naive":5}}.  Pure.
 * Errors: URD_E_INVALID, URD_E_TOO_BIG, URD_E_UNSUPPORTED; the sentence names step and member. */
URD_MUST_USE urd_err node_command_plan(const char *document, char **ret_json, char *errmsg,
                                       size_t errmsg_len);

/* --- whom a client on this machine asks ------------------------------------------------------- */

#define NODE_PLACE_NODES_MAX 64u

/* What a node directory or a client profile says. */
struct node_place {
    char cluster[64];
    struct {
        char name[64];
        char url[168]; /* tls+tcp://ADDR:PORT, tcp://ADDR:PORT on the loopback */
    } nodes[NODE_PLACE_NODES_MAX];
    size_t nodes_count;
    char *ca_pem; /* NULL: none */
    char *cap;    /* a token's text; a secret; NULL: none */
};
/* Give back what a place holds. */
void node_place_done(struct node_place *place);

/* The node directory @dir: its own node first, then the peers it is configured with.  Blocks. */
URD_MUST_USE urd_err node_command_home(struct urd_cx *cx, const char *dir, struct node_place *ret,
                                       char *errmsg, size_t errmsg_len);

/* The text of a client profile (untrusted), as `urd invite --client` prints it: INI, section
 * [profile] with keys cluster, node (NAME=URL, several), cap; then the CA's PEM. */
URD_MUST_USE urd_err node_command_profile(const char *text, size_t text_len, struct node_place *ret,
                                          char *errmsg, size_t errmsg_len);

#endif
