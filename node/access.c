/* The table itself stands at the end: one line an RPC. */
#include "node/access.h"

#include <string.h>

/* ---- resources ---- */

urd_err node_resource_of(char ret[static NODE_RESOURCE_TEXT_MAX], const char *kind,
                         const char *name)
{
    ret[0] = 0;
    urd_err err =
        urd_caps_resource_append(ret, NODE_RESOURCE_TEXT_MAX, (const uint8_t *)kind, strlen(kind));
    if (err != URD_OK) return err;
    return urd_caps_resource_append(ret, NODE_RESOURCE_TEXT_MAX, (const uint8_t *)name,
                                    strlen(name));
}

urd_err node_resource_of_file(char ret[static NODE_RESOURCE_TEXT_MAX], const char *node,
                              const uint8_t *path, size_t path_len)
{
    if (!node_path_ok(path, path_len)) return URD_E_INVALID;
    urd_err err = node_resource_of(ret, "file", node);
    size_t from = 0;
    while (err == URD_OK && from < path_len) {
        const uint8_t *slash = memchr(path + from, '/', path_len - from);
        size_t to = slash != NULL ? (size_t)(slash - path) : path_len;
        err = urd_caps_resource_append(ret, NODE_RESOURCE_TEXT_MAX, path + from, to - from);
        from = to + 1;
    }
    return err;
}

static urd_err saga_named(const Urd__V1__Request *request, const char *node, unsigned index,
                          char ret[static NODE_RESOURCE_TEXT_MAX])
{
    (void)node;
    if (index > 0) return URD_E_NOT_FOUND;
    return node_resource_of(ret, "saga", request->saga_submit->name);
}

/* `do/ACTION` for each of a worker's actions. */
static urd_err worker_actions(const Urd__V1__Request *request, const char *node, unsigned index,
                              char ret[static NODE_RESOURCE_TEXT_MAX])
{
    (void)node;
    size_t count;
    char *const *actions;
    if (request->body_case == URD__V1__REQUEST__BODY_WORKER_TAKE) {
        count = request->worker_take->n_actions;
        actions = request->worker_take->actions;
    } else if (request->body_case == URD__V1__REQUEST__BODY_WORKER_HEARTBEAT) {
        count = request->worker_heartbeat->n_actions;
        actions = request->worker_heartbeat->actions;
    } else {
        count = request->worker_ended->n_actions;
        actions = request->worker_ended->actions;
    }
    if (index >= count) return URD_E_NOT_FOUND;
    return node_resource_of(ret, "do", actions[index]);
}

static urd_err file_path(const Urd__V1__Request *request, const char *node, unsigned index,
                         char ret[static NODE_RESOURCE_TEXT_MAX])
{
    if (index > 0) return URD_E_NOT_FOUND;
    ProtobufCBinaryData path;
    switch (request->body_case) {
    case URD__V1__REQUEST__BODY_FILE_LOCATE:
        node = request->file_locate->node;
        path = request->file_locate->path;
        break;
    case URD__V1__REQUEST__BODY_FILE_OPEN:
        path = request->file_open->path;
        break;
    case URD__V1__REQUEST__BODY_FILE_LS:
        path = request->file_ls->path;
        break;
    case URD__V1__REQUEST__BODY_FILE_STAT:
        path = request->file_stat->path;
        break;
    case URD__V1__REQUEST__BODY_FILE_RM:
        path = request->file_rm->path;
        break;
    default:
        return URD_E_INVALID;
    }
    return node_resource_of_file(ret, node, path.data, path.len);
}

static urd_err this_node(const Urd__V1__Request *request, const char *node, unsigned index,
                         char ret[static NODE_RESOURCE_TEXT_MAX])
{
    (void)request;
    if (index > 0) return URD_E_NOT_FOUND;
    return node_resource_of(ret, "node", node);
}

static urd_err node_named(const Urd__V1__Request *request, const char *node, unsigned index,
                          char ret[static NODE_RESOURCE_TEXT_MAX])
{
    (void)node;
    if (index > 0) return URD_E_NOT_FOUND;
    return node_resource_of(ret, "node", request->node_expel->name);
}

/* `cap/PURPOSE`: minting and rotating are about a purpose's root key. */
static urd_err cap_purpose(const Urd__V1__Request *request, const char *node, unsigned index,
                           char ret[static NODE_RESOURCE_TEXT_MAX])
{
    (void)node;
    if (index > 0) return URD_E_NOT_FOUND;
    const char *purpose = request->body_case == URD__V1__REQUEST__BODY_CAP_MINT
                              ? request->cap_mint->purpose
                              : request->cap_rotate->purpose;
    return node_resource_of(ret, "cap", purpose[0] != 0 ? purpose : "client");
}

/* ---- actions ---- */

/* The action of most RPCs is their own name. */
#define ACTION(function, text)                                                                     \
    static const char *function(const Urd__V1__Request *request)                                   \
    {                                                                                              \
        (void)request;                                                                             \
        return text;                                                                               \
    }
ACTION(saga_submit, "saga.submit")
ACTION(saga_show, "saga.show")
ACTION(saga_history, "saga.history")
ACTION(saga_list, "saga.list")
ACTION(saga_watch, "saga.watch")
ACTION(saga_wait, "saga.wait")
ACTION(saga_cancel, "saga.cancel")
ACTION(saga_pause, "saga.pause")
ACTION(saga_resume, "saga.resume")
ACTION(saga_signal, "saga.signal")
ACTION(saga_resolve, "saga.resolve")
ACTION(saga_complete, "saga.complete")
ACTION(worker_serve, "worker.serve")
ACTION(file_send, "file.send")
ACTION(file_fetch, "file.fetch")
ACTION(file_ls, "file.ls")
ACTION(file_stat, "file.stat")
ACTION(file_rm, "file.rm")
ACTION(cap_mint, "cap.mint")
ACTION(cap_revoke, "cap.revoke")
ACTION(cap_revoked, "cap.revoked")
ACTION(cap_verify, "cap.verify")
ACTION(node_status, "node.status")
ACTION(node_members, "node.members")
ACTION(node_admin, "node.admin")
ACTION(node_peer, "node.peer")

static const char *file_either(const Urd__V1__Request *request)
{
    return request->file_locate->fetch ? "file.fetch" : "file.send";
}

/* ---- which saga a request is for ---- */

#define ABOUT(function, body)                                                                      \
    static void function(const Urd__V1__Request *request, const char **ret_region,                 \
                         const char **ret_task)                                                    \
    {                                                                                              \
        (void)ret_task;                                                                            \
        *ret_region = request->body->id;                                                           \
    }
ABOUT(about_show, saga_show)
ABOUT(about_history, saga_history)
ABOUT(about_watch, saga_watch)
ABOUT(about_wait, saga_wait)
ABOUT(about_cancel, saga_cancel)
ABOUT(about_pause, saga_pause)
ABOUT(about_resume, saga_resume)
ABOUT(about_signal, saga_signal)

static void about_resolve(const Urd__V1__Request *request, const char **ret_region,
                          const char **ret_task)
{
    *ret_region = request->saga_resolve->id;
    *ret_task = request->saga_resolve->step;
}

/* A child is opened for the saga and step of its parent. */
static void about_submit(const Urd__V1__Request *request, const char **ret_region,
                         const char **ret_task)
{
    const Urd__V1__SagaSubmit *submit = request->saga_submit;
    if (submit->parent_id[0] != 0) *ret_region = submit->parent_id;
    if (submit->parent_step[0] != 0) *ret_task = submit->parent_step;
}

/* ---- the table ---- */

#define BODY(name) URD__V1__REQUEST__BODY_##name
#define NAMED      NODE_RESOURCE_NAMED
#define LOOKED     NODE_RESOURCE_LOOKED
#define ITEMS      NODE_RESOURCE_ITEMS
#define JUDGED     NODE_RESOURCE_JUDGED
#define SELF       NODE_RESOURCE_SELF

/* clang-format off */
static const struct node_rpc table[] = {
    /*                                                                                            spends polls */
    { BODY(SAGA_SUBMIT),        "saga.submit",        saga_submit,   NAMED,  saga_named,  about_submit,  true,  false },
    { BODY(SAGA_SHOW),          "saga.show",          saga_show,     LOOKED, NULL,        about_show,    true,  false },
    { BODY(SAGA_HISTORY),       "saga.history",       saga_history,  LOOKED, NULL,        about_history, true,  false },
    { BODY(SAGA_LIST),          "saga.list",          saga_list,     ITEMS,  NULL,        NULL,          true,  false },
    { BODY(SAGA_WATCH),         "saga.watch",         saga_watch,    LOOKED, NULL,        about_watch,   true,  true  },
    { BODY(SAGA_WAIT),          "saga.wait",          saga_wait,     LOOKED, NULL,        about_wait,    true,  true  },
    { BODY(SAGA_CANCEL),        "saga.cancel",        saga_cancel,   LOOKED, NULL,        about_cancel,  true,  false },
    { BODY(SAGA_PAUSE),         "saga.pause",         saga_pause,    LOOKED, NULL,        about_pause,   true,  false },
    { BODY(SAGA_RESUME),        "saga.resume",        saga_resume,   LOOKED, NULL,        about_resume,  true,  false },
    { BODY(SAGA_SIGNAL),        "saga.signal",        saga_signal,   LOOKED, NULL,        about_signal,  true,  false },
    { BODY(SAGA_RESOLVE),       "saga.resolve",       saga_resolve,  LOOKED, NULL,        about_resolve, true,  false },
    { BODY(SAGA_COMPLETE),      "saga.complete",      saga_complete, LOOKED, NULL,        NULL,          true,  false },

    { BODY(WORKER_TAKE),        "worker.take",        worker_serve,  NAMED,  worker_actions, NULL,       false, true  },
    { BODY(WORKER_HEARTBEAT),   "worker.heartbeat",   worker_serve,  NAMED,  worker_actions, NULL,       false, false },
    { BODY(WORKER_ENDED),       "worker.ended",       worker_serve,  NAMED,  worker_actions, NULL,       false, false },

    /* A session is looked up by its id: its path, and whose it is, were judged when it was opened and
     * are judged again.  DEST is judged when it is resolved. */
    { BODY(FILE_LOCATE),        "file.locate",        file_either,   NAMED,  file_path,   NULL,          false, false },
    { BODY(FILE_OFFER),         "file.offer",         file_send,     LOOKED, NULL,        NULL,          true,  false },
    { BODY(FILE_OFFER_DIGESTS), "file.offer_digests", file_send,     LOOKED, NULL,        NULL,          false, false },
    { BODY(FILE_OFFER_FINISH),  "file.offer_finish",  file_send,     LOOKED, NULL,        NULL,          false, true  },
    { BODY(FILE_OPEN),          "file.open",          file_fetch,    NAMED,  file_path,   NULL,          true,  false },
    { BODY(FILE_OPEN_DIGESTS),  "file.open_digests",  file_fetch,    LOOKED, NULL,        NULL,          false, true  },
    { BODY(FILE_OPEN_FINISH),   "file.open_finish",   file_fetch,    LOOKED, NULL,        NULL,          false, true  },
    { BODY(FILE_LS),            "file.ls",            file_ls,       NAMED,  file_path,   NULL,          true,  false },
    { BODY(FILE_STAT),          "file.stat",          file_stat,     NAMED,  file_path,   NULL,          true,  false },
    { BODY(FILE_RM),            "file.rm",            file_rm,       NAMED,  file_path,   NULL,          true,  false },

    /* Revoking is also allowed to whoever shows an ancestor of what is revoked: its handler looks. */
    { BODY(CAP_MINT),           "cap.mint",           cap_mint,      NAMED,  cap_purpose, NULL,          true,  false },
    { BODY(CAP_REVOKE),         "cap.revoke",         cap_revoke,    JUDGED, NULL,        NULL,          false, true  },
    { BODY(CAP_REVOKED),        "cap.revoked",        cap_revoked,   NAMED,  this_node,   NULL,          true,  false },
    { BODY(CAP_VERIFY),         "cap.verify",         cap_verify,    NAMED,  this_node,   NULL,          true,  false },
    { BODY(CAP_ROTATE),         "cap.rotate",         node_admin,    NAMED,  cap_purpose, NULL,          true,  false },

    { BODY(NODE_STATUS),        "node.status",        node_status,   NAMED,  this_node,   NULL,          true,  false },
    { BODY(NODE_MEMBERS),       "node.members",       node_members,  NAMED,  this_node,   NULL,          true,  false },
    { BODY(NODE_INVITE),        "node.invite",        node_admin,    NAMED,  this_node,   NULL,          true,  false },
    { BODY(NODE_JOIN),          "node.join",          NULL,          SELF,   NULL,        NULL,          false, false }, /* by the invite's secret */
    { BODY(NODE_VERIFY),        "node.verify",        node_admin,    NAMED,  this_node,   NULL,          true,  false },
    { BODY(NODE_BACKUP),        "node.backup",        node_admin,    NAMED,  this_node,   NULL,          true,  false },
    { BODY(NODE_EXPEL),         "node.expel",         node_admin,    NAMED,  node_named,  NULL,          true,  false },

    { BODY(PEER_HEARTBEAT),     "peer.heartbeat",     node_peer,     NAMED,  this_node,   NULL,          false, false },
    { BODY(PEER_PUSH),          "peer.push",          node_peer,     NAMED,  this_node,   NULL,          false, false },
    { BODY(PEER_PULL),          "peer.pull",          node_peer,     NAMED,  this_node,   NULL,          false, false },
    { BODY(PEER_SPEND),         "peer.spend",         node_peer,     NAMED,  this_node,   NULL,          false, false },
    { BODY(PEER_OPERATE),       "peer.operate",       node_peer,     NAMED,  this_node,   NULL,          false, true  },
    { BODY(PEER_CERTIFY),       "peer.certify",       node_peer,     NAMED,  this_node,   NULL,          false, false },
};
/* clang-format on */

#define ROWS (sizeof table / sizeof table[0])

const struct node_rpc *node_rpc_row(unsigned index)
{
    return index < ROWS ? &table[index] : NULL;
}

const struct node_rpc *node_rpc_find(Urd__V1__Request__BodyCase body)
{
    for (size_t i = 0; i < ROWS; i++)
        if (table[i].body == body) return &table[i];
    return NULL;
}
