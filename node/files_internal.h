/* node/files_internal.h -- what the files of the file service share.
 *
 *   files.c          life, the table of sessions
 *   files_receive.c  file.offer, file.offer_digests, file.offer_finish: the node receives
 *   files_send.c     file.open, file.open_digests, file.open_finish: the node sends
 *   files_tree.c     file.locate, file.ls, file.stat, file.rm
 *
 * The table and the requests live in the node's pinned region; a session's transfer runs as a task
 * of the free one and shares with them only what is made for that: an event, the digest board. */
#ifndef NODE_FILES_INTERNAL_H
#define NODE_FILES_INTERNAL_H

#include "fountain/transfer/files.h"
#include "fountain/transfer/transfer.h"
#include "node/files.h"
#include "runtime/sync.h"

struct node_files {
    struct node *node;
    struct urd_fountain_hub *hub;
    struct node_file_session *sessions;
    uint32_t sessions_count;
    uint64_t finished; /* sessions that ended well, since start */
};

struct node_file_session {
    struct node_file_session *next;
    struct node_files *files;
    unsigned refs; /* the table's, its task's, and those of requests about it */
    bool receiving;
    bool cancelled;                          /* asked to end; its task sees `cancel` */
    uint8_t id[NODE_ID_BYTES];               /* the transfer's: the same when resumed */
    char path[NODE_PATH_BYTES_MAX + 1];      /* what it is judged by, below root/ */
    struct urd_caps_grant *grant;            /* cloned: a revocation ends it */
    struct urd_fountain_agreement agreement; /* wiped at the end */
    struct urd_fountain_manifest manifest;
    struct urd_fountain_digests *digests;
    struct urd_address peer;
    uint64_t rate_max_bps, start_rate_bps;
    /* receiving */
    struct urd_dir *partial;
    char partial_name[2 * NODE_ID_BYTES + 1];
    struct urd_fountain_file_sink *sink;
    struct urd_fountain_file_journal *journal;
    struct urd_fountain_finished *known; /* finished by earlier sessions */
    uint32_t known_count;
    bool discard; /* its partial files go when it has ended */
    /* sending */
    struct urd_fountain_file_source *source;
    /* the task's */
    struct urd_event cancel; /* set: end */
    struct urd_event ended;  /* set: the fields below stand */
    urd_err err;
    char why[256];
    struct urd_fountain_stats stats;
    uint64_t ended_ns;
};

/* A session of @files with a reference for the caller, not in the table yet.  NULL: out of memory.
 */
struct node_file_session *node_file_session_new(struct node_files *files);
void node_file_session_unref(struct node_file_session *session);
/* Put it into the table and start its task.  Errors: URD_E_FULL; urd_spawn()'s. */
URD_MUST_USE urd_err node_file_session_start(struct urd_cx *cx, struct node_file_session *session);
/* Ask its task to end. */
void node_file_session_cancel(struct node_file_session *session);
/* The session that @session_id names, with a reference for the caller; NULL: none. */
struct node_file_session *node_file_session_find(struct node_files *files, uint64_t session_id,
                                                 bool receiving);

/* Node_resource_fn of requests about a session: its path. */
urd_err node_file_session_resource(struct urd_cx *cx, struct node_call *call, unsigned index,
                                   char ret[static NODE_RESOURCE_TEXT_MAX]);
/* This end's half of a session, made for @session against the asker's @theirs, and the terms that
 * tell it. */
URD_MUST_USE urd_err node_file_session_agree(struct urd_cx *cx, struct node_call *call,
                                             struct node_file_session *session,
                                             const Urd__V1__FileTerms *theirs,
                                             Urd__V1__FileTerms **ret);
/* Wait for the session's end until the call's deadline, and answer FileFinishReply; or end it, as
 * @end says. */
urd_err node_file_session_finish(struct urd_cx *cx, struct node_call *call,
                                 struct node_file_session *session, Urd__V1__FileEnd end);
/* @bytes as NUL-terminated text of the call's arena.  Errors: URD_E_INVALID not clean; URD_E_NOMEM.
 */
URD_MUST_USE urd_err node_file_path_of(struct node_call *call, const ProtobufCBinaryData *bytes,
                                       char **ret);
/* The body of the session's task. */
urd_err node_file_run_receive(struct urd_cx *cx, struct node_file_session *session);
urd_err node_file_run_send(struct urd_cx *cx, struct node_file_session *session);

/* Handlers. */
urd_err node_file_offer(struct urd_cx *cx, struct node_call *call);
urd_err node_file_offer_resource(struct urd_cx *cx, struct node_call *call, unsigned index,
                                 char ret[static NODE_RESOURCE_TEXT_MAX]);
urd_err node_file_offer_digests(struct urd_cx *cx, struct node_call *call);
urd_err node_file_offer_finish(struct urd_cx *cx, struct node_call *call);
urd_err node_file_open(struct urd_cx *cx, struct node_call *call);
urd_err node_file_open_digests(struct urd_cx *cx, struct node_call *call);
urd_err node_file_open_finish(struct urd_cx *cx, struct node_call *call);
urd_err node_file_locate(struct urd_cx *cx, struct node_call *call);
urd_err node_file_ls(struct urd_cx *cx, struct node_call *call);
urd_err node_file_stat(struct urd_cx *cx, struct node_call *call);
urd_err node_file_rm(struct urd_cx *cx, struct node_call *call);

#endif
