/* Places on nodes, and the requests about files that move none. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "client/file_internal.h"

/* One name of "A,B", into @ret. */
static bool take_name(const char *text, size_t len, char ret[64])
{
    if (len == 0 || len >= 64) return false;
    memcpy(ret, text, len);
    ret[len] = '\0';
    return true;
}

/* @path without the slashes around it, and one where there were several. */
static void clean(const char *path, struct client_place_names *ret)
{
    size_t len = 0;
    for (const char *p = path; *p != '\0'; p++)
        if (*p != '/' || (len > 0 && ret->path[len - 1] != '/')) ret->path[len++] = *p;
    ret->is_directory = len == 0 || ret->path[len - 1] == '/';
    if (len > 0 && ret->path[len - 1] == '/') len--;
    ret->path[len] = '\0';
}

urd_err client_file_place(const char *text, struct client_place_names *ret, char *errmsg)
{
    struct client_place_names place = { .nodes_count = 0 };
    const char *colon = strchr(text, ':'), *at = text;
    if (colon == NULL || colon[1] != '/' || strlen(colon + 1) > NODE_PATH_BYTES_MAX)
        return client_say(errmsg, URD_E_INVALID, "a place on a node is NODE:/PATH, not '%.200s'",
                          text);
    while (at <= colon) {
        size_t len = strcspn(at, ",:");
        if (place.nodes_count == URD_FILE_TARGETS_MAX)
            return client_say(errmsg, URD_E_TOO_BIG, "more than %u nodes", URD_FILE_TARGETS_MAX);
        if (!take_name(at, len, place.nodes[place.nodes_count]))
            return client_say(errmsg, URD_E_INVALID, "no name of a node: '%.*s'",
                              (int)(len < 80 ? len : 80), at);
        for (unsigned i = 0; i < place.nodes_count; i++)
            if (strcmp(place.nodes[i], place.nodes[place.nodes_count]) == 0)
                return client_say(errmsg, URD_E_INVALID, "node '%s' is named twice",
                                  place.nodes[i]);
        place.nodes_count++;
        at += len + 1;
    }
    clean(colon + 1, &place);
    if (!node_path_ok((const uint8_t *)place.path, strlen(place.path)))
        return client_say(errmsg, URD_E_INVALID, "a path has no '.' or '..' in it: '%.200s'",
                          colon + 1);
    *ret = place;
    return URD_OK;
}

static ProtobufCBinaryData bytes_of(const char *text)
{
    return (ProtobufCBinaryData){ .data = (uint8_t *)text, .len = strlen(text) };
}

urd_err client_file_locate(struct urd_cx *cx, struct urd_client *client, const char *node,
                           const char *path, bool fetch, char ret_address[NODE_URL_BYTES_MAX + 1],
                           char *errmsg)
{
    struct client_request request;
    Urd__V1__Reply *reply;
    Urd__V1__FileLocate body = URD__V1__FILE_LOCATE__INIT;
    body.node = (char *)node;
    body.path = bytes_of(path);
    body.fetch = fetch;
    urd_err err = client_request_init(cx, &request);
    if (err != URD_OK) return client_say(errmsg, err, "%s", urd_err_text(err));
    request.message.body_case = URD__V1__REQUEST__BODY_FILE_LOCATE;
    request.message.file_locate = &body;
    err = client_ask(cx, client, NULL, &request, URD__V1__REPLY__BODY_FILE_LOCATE, &reply, errmsg);
    if (err != URD_OK) return err;
    const Urd__V1__Member *member = reply->file_locate->member;
    if (member == NULL || strcmp(member->name, node) != 0) {
        err = client_say(errmsg, URD_E_NOT_FOUND, "no node '%s' is known", node);
    } else {
        err = client_learn(cx, client, member, &reply->file_locate->token);
        if (err != URD_OK) (void)client_say(errmsg, err, "%s", urd_err_text(err));
        (void)snprintf(ret_address, NODE_URL_BYTES_MAX + 1, "%s", member->data_address);
    }
    node_reply_free(reply);
    return err;
}

/* The place @text names, found: one node, which may be asked now.  One that the user named to begin
 * with needs no finding, nor a capability for it. */
static urd_err reach(struct urd_cx *cx, struct urd_client *client, const char *text, bool fetch,
                     struct client_place_names *ret, char *errmsg)
{
    char address[NODE_URL_BYTES_MAX + 1];
    urd_err err = client_file_place(text, ret, errmsg);
    if (err != URD_OK) return err;
    if (ret->nodes_count != 1)
        return client_say(errmsg, URD_E_INVALID, "one node is asked at a time: '%.200s'", text);
    for (unsigned i = 0; i < client->doors; i++)
        if (strcmp(client->nodes[i].name, ret->nodes[0]) == 0) return URD_OK;
    return client_file_locate(cx, client, ret->nodes[0], ret->path, fetch, address, errmsg);
}

/* Ask the node at @place. */
static urd_err ask(struct urd_cx *cx, struct urd_client *client,
                   const struct client_place_names *place, Urd__V1__Request__BodyCase body_case,
                   void *body, Urd__V1__Reply__BodyCase expected, Urd__V1__Reply **ret,
                   char *errmsg)
{
    struct client_request request;
    urd_err err = client_request_init(cx, &request);
    if (err != URD_OK) return client_say(errmsg, err, "%s", urd_err_text(err));
    request.message.body_case = body_case;
    request.message.file_ls = body; /* every member of the union is a pointer to a message */
    return client_ask(cx, client, place->nodes[0], &request, expected, ret, errmsg);
}

/* Up to @cap - 1 of @bytes as text; a NUL in them ends it. */
static const char *text_in(const ProtobufCBinaryData *bytes, char *ret, size_t cap)
{
    size_t len = bytes->len < cap - 1 ? bytes->len : cap - 1;
    if (len > 0) memcpy(ret, bytes->data, len);
    ret[len] = '\0';
    return ret;
}

static void tell_entry(const Urd__V1__FileInfo *info, urd_file_entry_fn tell, void *arg)
{
    char name[NODE_PATH_BYTES_MAX + 1], target[NODE_PATH_BYTES_MAX + 1];
    char digest[2 * NODE_DIGEST_BYTES + 1] = "";
    if (info->digest.len == NODE_DIGEST_BYTES)
        (void)sodium_bin2hex(digest, sizeof digest, info->digest.data, info->digest.len);
    struct urd_file_entry entry = { .name = text_in(&info->name, name, sizeof name),
                                    .target = text_in(&info->target, target, sizeof target),
                                    .kind = (enum urd_file_entry_kind)info->kind,
                                    .mode = info->mode,
                                    .size_bytes = info->size_bytes,
                                    .mtime_ns = info->mtime_ns,
                                    .digest = digest };
    tell(arg, &entry);
}

_Static_assert((int)URD_ENTRY_LINK == (int)URD__V1__FILE_KIND__FILE_KIND_LINK, "one list of kinds");

urd_err urd_client_list_files(struct urd_cx *cx, struct urd_client *client, const char *place_text,
                              urd_file_entry_fn tell, void *arg, char *errmsg)
{
    struct client_place_names place;
    char after[256] = "";
    urd_err err = reach(cx, client, place_text, true, &place, errmsg);
    for (bool more = true; err == URD_OK && more;) {
        Urd__V1__Reply *reply;
        Urd__V1__FileLs body = URD__V1__FILE_LS__INIT;
        body.path = bytes_of(place.path);
        body.after = bytes_of(after);
        body.limit = NODE_ENTRIES_MAX;
        err = ask(cx, client, &place, URD__V1__REQUEST__BODY_FILE_LS, &body,
                  URD__V1__REPLY__BODY_FILE_LS, &reply, errmsg);
        if (err != URD_OK) break;
        const Urd__V1__FileLsReply *list = reply->file_ls;
        for (size_t i = 0; i < list->n_entries; i++)
            tell_entry(list->entries[i], tell, arg);
        more = list->more && list->n_entries > 0;
        if (more) (void)text_in(&list->entries[list->n_entries - 1]->name, after, sizeof after);
        node_reply_free(reply);
    }
    return err;
}

urd_err urd_client_stat_file(struct urd_cx *cx, struct urd_client *client, const char *place_text,
                             bool digest, urd_file_entry_fn tell, void *arg, char *errmsg)
{
    struct client_place_names place;
    Urd__V1__Reply *reply;
    Urd__V1__FileStat body = URD__V1__FILE_STAT__INIT;
    urd_err err = reach(cx, client, place_text, true, &place, errmsg);
    if (err != URD_OK) return err;
    body.path = bytes_of(place.path);
    body.digest = digest;
    err = ask(cx, client, &place, URD__V1__REQUEST__BODY_FILE_STAT, &body,
              URD__V1__REPLY__BODY_FILE_STAT, &reply, errmsg);
    if (err != URD_OK) return err;
    if (reply->file_stat->info != NULL) tell_entry(reply->file_stat->info, tell, arg);
    node_reply_free(reply);
    return URD_OK;
}

urd_err urd_client_remove_file(struct urd_cx *cx, struct urd_client *client, const char *place_text,
                               bool recursive, char *errmsg)
{
    struct client_place_names place;
    Urd__V1__Reply *reply;
    Urd__V1__FileRm body = URD__V1__FILE_RM__INIT;
    urd_err err = reach(cx, client, place_text, false, &place, errmsg);
    if (err != URD_OK) return err;
    body.path = bytes_of(place.path);
    body.recursive = recursive;
    err = ask(cx, client, &place, URD__V1__REQUEST__BODY_FILE_RM, &body, URD__V1__REPLY__BODY_DONE,
              &reply, errmsg);
    if (err == URD_OK) node_reply_free(reply);
    return err;
}
