/* The tree below root/: where a node is, what it holds, taking something away. */
#include <stdlib.h>
#include <string.h>

#include "node/files_internal.h"

enum { ENTRIES_MAX = 65536, RM_DEPTH_MAX = 64 };

/* The path of a request as urd_file_… takes it: "." is the root. */
static urd_err tree_path(struct node_call *call, const ProtobufCBinaryData *bytes, char **ret)
{
    urd_err err = node_file_path_of(call, bytes, ret);
    if (err == URD_OK && (*ret)[0] == '\0') *ret = node_call_text(call, ".");
    return err == URD_OK && *ret == NULL ? URD_E_NOMEM : err;
}

static urd_err tree_error(struct node_call *call, urd_err err, const char *path)
{
    return err == URD_OK ? err : node_call_fail(call, err, "%s: %s", path, urd_err_text(err));
}

urd_err node_file_locate(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__FileLocate *body = call->request->file_locate;
    struct node_member member;
    urd_err err = node_member_find(cx, call->node, body->node, &member);
    if (err == URD_E_NOT_FOUND || (err == URD_OK && member.expelled))
        return node_call_fail(call, URD_E_NOT_FOUND, "no node '%s' in this cluster", body->node);
    if (err != URD_OK) return err;
    Urd__V1__FileLocateReply *reply =
        NODE_CALL_NEW(call, Urd__V1__FileLocateReply, urd__v1__file_locate_reply__init);
    Urd__V1__Member *m = NODE_CALL_NEW(call, Urd__V1__Member, urd__v1__member__init);
    if (reply == NULL || m == NULL) return URD_E_NOMEM;
    m->name = node_call_text(call, member.name);
    m->rpc_url = node_call_text(call, member.url);
    m->data_address = node_call_text(call, member.data);
    m->version = node_call_text(call, member.version);
    if (m->name == NULL || m->rpc_url == NULL || m->data_address == NULL || m->version == NULL)
        return URD_E_NOMEM;
    reply->member = m;
    if (!member.self && node_grant_is_local(call->node, call->grant)) {
        err = node_call_exchange(cx, call, &reply->token);
        if (err != URD_OK) return err;
    }
    call->reply.body_case = URD__V1__REPLY__BODY_FILE_LOCATE;
    call->reply.file_locate = reply;
    return URD_OK;
}

static Urd__V1__FileKind kind_of(enum urd_file_kind kind)
{
    switch (kind) {
    case URD_FILE_REGULAR:
        return URD__V1__FILE_KIND__FILE_KIND_REGULAR;
    case URD_FILE_DIRECTORY:
        return URD__V1__FILE_KIND__FILE_KIND_DIRECTORY;
    case URD_FILE_LINK:
        return URD__V1__FILE_KIND__FILE_KIND_LINK;
    case URD_FILE_OTHER:
        break;
    }
    return URD__V1__FILE_KIND__FILE_KIND_OTHER;
}

static Urd__V1__FileInfo *info_of(struct node_call *call, const char *name,
                                  const struct urd_file_info *info)
{
    bool ok = true;
    Urd__V1__FileInfo *m = NODE_CALL_NEW(call, Urd__V1__FileInfo, urd__v1__file_info__init);
    if (m == NULL) return NULL;
    m->name = node_call_bytes(call, name, strlen(name), &ok);
    m->kind = kind_of(info->kind);
    m->mode = info->mode;
    m->size_bytes = info->size_bytes;
    m->mtime_ns = info->mtime_ns;
    return ok ? m : NULL;
}

urd_err node_file_ls(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__FileLs *body = call->request->file_ls;
    struct urd_dir_entry *entries;
    uint32_t count,
        limit = body->limit == 0 || body->limit > NODE_ENTRIES_MAX ? NODE_ENTRIES_MAX : body->limit;
    char *path;
    urd_err err = tree_path(call, &body->path, &path);
    if (err == URD_OK)
        err = tree_error(
            call, urd_dir_list(cx, node_root(call->node), path, ENTRIES_MAX, &entries, &count),
            path);
    if (err != URD_OK) return err;
    Urd__V1__FileLsReply *reply =
        NODE_CALL_NEW(call, Urd__V1__FileLsReply, urd__v1__file_ls_reply__init);
    if (reply != NULL)
        reply->entries = node_call_alloc(call, ((size_t)limit + 1) * sizeof *reply->entries);
    if (reply == NULL || reply->entries == NULL) err = URD_E_NOMEM;
    for (uint32_t i = 0; i < count && err == URD_OK; i++) {
        size_t len = strlen(entries[i].name);
        size_t shared = len < body->after.len ? len : body->after.len;
        int order = body->after.len > 0 ? memcmp(entries[i].name, body->after.data, shared) : 1;
        if (order < 0 || (order == 0 && len <= body->after.len)) continue;
        if (reply->n_entries == limit) {
            reply->more = true;
            break;
        }
        Urd__V1__FileInfo *info = info_of(call, entries[i].name, &entries[i].info);
        if (info == NULL) err = URD_E_NOMEM;
        reply->entries[reply->n_entries++] = info;
    }
    free(entries);
    if (err != URD_OK) return err;
    call->reply.body_case = URD__V1__REPLY__BODY_FILE_LS;
    call->reply.file_ls = reply;
    return URD_OK;
}

urd_err node_file_stat(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__FileStat *body = call->request->file_stat;
    struct urd_file_info info;
    char *path, target[NODE_PATH_BYTES_MAX + 1];
    bool ok = true;
    urd_err err = tree_path(call, &body->path, &path);
    if (err == URD_OK)
        err = tree_error(call, urd_file_stat(cx, node_root(call->node), path, &info), path);
    if (err != URD_OK) return err;
    const char *slash = strrchr(path, '/');
    Urd__V1__FileStatReply *reply =
        NODE_CALL_NEW(call, Urd__V1__FileStatReply, urd__v1__file_stat_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    reply->info = info_of(call, slash != NULL ? slash + 1 : path, &info);
    if (reply->info == NULL) return URD_E_NOMEM;
    if (info.kind == URD_FILE_LINK &&
        urd_link_read(cx, node_root(call->node), path, target, sizeof target) == URD_OK)
        reply->info->target = node_call_bytes(call, target, strlen(target), &ok);
    call->reply.body_case = URD__V1__REPLY__BODY_FILE_STAT;
    call->reply.file_stat = reply;
    return ok ? URD_OK : URD_E_NOMEM;
}

/* Take away @path and all below it. */
static urd_err remove_tree(struct urd_cx *cx, struct urd_dir *root, const char *path,
                           unsigned depth)
{
    struct urd_dir_entry *entries;
    uint32_t count;
    if (depth == RM_DEPTH_MAX) return URD_E_TOO_BIG;
    urd_err err = urd_dir_list(cx, root, path, ENTRIES_MAX, &entries, &count);
    if (err != URD_OK) return err;
    char *below = malloc(NODE_PATH_BYTES_MAX + 1);
    if (below == NULL) err = URD_E_NOMEM;
    for (uint32_t i = 0; i < count && err == URD_OK; i++) {
        if (snprintf(below, NODE_PATH_BYTES_MAX + 1, "%s/%s", path, entries[i].name) >
            (int)NODE_PATH_BYTES_MAX)
            err = URD_E_TOO_BIG;
        else if (entries[i].info.kind == URD_FILE_DIRECTORY)
            err = remove_tree(cx, root, below, depth + 1);
        else
            err = urd_file_unlink(cx, root, below);
    }
    free(below);
    free(entries);
    return err == URD_OK ? urd_dir_remove(cx, root, path) : err;
}

urd_err node_file_rm(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__FileRm *body = call->request->file_rm;
    struct urd_file_info info;
    char *path;
    urd_err err = tree_path(call, &body->path, &path);
    if (err != URD_OK) return err;
    if (strcmp(path, ".") == 0) return node_call_fail(call, URD_E_INVALID, "the root itself stays");
    err = urd_file_stat(cx, node_root(call->node), path, &info);
    if (err == URD_OK && info.kind != URD_FILE_DIRECTORY)
        err = urd_file_unlink(cx, node_root(call->node), path);
    else if (err == URD_OK && body->recursive)
        err = remove_tree(cx, node_root(call->node), path, 0);
    else if (err == URD_OK)
        err = urd_dir_remove(cx, node_root(call->node), path);
    return err == URD_OK ? node_call_done(call) : tree_error(call, err, path);
}
