#include "caps/grant.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "caps/glob.h"
#include "caps/grant_internal.h"
#include "caps/octets_internal.h"
#include "caps/time_text.h"
#include "caps/writer_internal.h"

enum { VERSION = 1 };

struct link {
    uint8_t id[URD_CAPS_LINK_BYTES];
    int64_t expires_s; /* earliest `time <` before it */
};

/* The values of one kind of glob caveat. */
struct lists {
    enum urd_caps_glob_kind kind;
    size_t count;
    char **texts;
};

struct urd_caps_grant {
    struct urd_caps_identifier identifier;
    char subject[2 * URD_CAPS_TOKEN_ID_BYTES + 1];
    int64_t expires_s;
    size_t glob_bytes;
    size_t link_count;
    struct link *links;
    struct lists actions;
    struct lists resources;
};

urd_err urd_caps_grant_new(const struct urd_caps_identifier *identifier,
                           struct urd_caps_grant **ret)
{
    struct urd_caps_grant *grant = calloc(1, sizeof *grant);
    if (grant == NULL) return URD_E_NOMEM;
    grant->identifier = *identifier;
    grant->expires_s = URD_CAPS_NO_EXPIRY;
    grant->actions.kind = URD_CAPS_GLOB_ACTION;
    grant->resources.kind = URD_CAPS_GLOB_RESOURCE;
    sodium_bin2hex(grant->subject, sizeof grant->subject, identifier->token_id,
                   URD_CAPS_TOKEN_ID_BYTES);
    *ret = grant;
    return URD_OK;
}

static void free_lists(struct lists *lists)
{
    for (size_t i = 0; i < lists->count; i++)
        free(lists->texts[i]);
    free(lists->texts);
}

void urd_caps_grant_free(struct urd_caps_grant *grant)
{
    if (grant == NULL) return;
    free_lists(&grant->actions);
    free_lists(&grant->resources);
    free(grant->links);
    free(grant);
}

void urd_caps_grant_expire(struct urd_caps_grant *grant, int64_t expires_s)
{
    if (expires_s < grant->expires_s) grant->expires_s = expires_s;
}

/* Room in @items for one more than @count.  Grants live as long as their sagas: they stay small,
 * and almost all have one or two of each. */
static urd_err reserve(void **items, size_t count, size_t item_bytes)
{
    if (count == URD_CAPS_GRANT_ITEMS_MAX) return URD_E_TOO_BIG;
    if ((count & (count - 1)) != 0) return URD_OK; /* grown at 0, 1, 2, 4, 8 ... to twice as many */
    void *grown = realloc(*items, (count == 0 ? 1 : 2 * count) * item_bytes);
    if (grown == NULL) return URD_E_NOMEM;
    *items = grown;
    return URD_OK;
}

static urd_err add_link(struct urd_caps_grant *grant, const uint8_t *id, int64_t expires_s)
{
    void *links = grant->links;
    urd_err err = reserve(&links, grant->link_count, sizeof *grant->links);
    if (err != URD_OK) return err;
    grant->links = links;
    struct link *link = &grant->links[grant->link_count++];
    memcpy(link->id, id, sizeof link->id);
    link->expires_s = expires_s;
    return URD_OK;
}

urd_err urd_caps_grant_add_link(struct urd_caps_grant *grant, const uint8_t *link)
{
    return add_link(grant, link, grant->expires_s);
}

static urd_err add_list(struct urd_caps_grant *grant, struct lists *lists,
                        struct urd_caps_bytes list)
{
    if (list.len > URD_CAPS_GRANT_GLOB_BYTES_MAX - grant->glob_bytes) return URD_E_TOO_BIG;
    if (!urd_caps_glob_list_ok(lists->kind, (const char *)list.data, list.len))
        return URD_E_INVALID;
    void *texts = lists->texts;
    urd_err err = reserve(&texts, lists->count, sizeof *lists->texts);
    if (err != URD_OK) return err;
    lists->texts = texts;
    char *text = malloc(list.len + 1);
    if (text == NULL) return URD_E_NOMEM;
    memcpy(text, list.data, list.len);
    text[list.len] = '\0';
    lists->texts[lists->count++] = text;
    grant->glob_bytes += list.len;
    return URD_OK;
}

urd_err urd_caps_grant_add_action(struct urd_caps_grant *grant, struct urd_caps_bytes list)
{
    return add_list(grant, &grant->actions, list);
}

urd_err urd_caps_grant_add_resource(struct urd_caps_grant *grant, struct urd_caps_bytes list)
{
    return add_list(grant, &grant->resources, list);
}

const char *urd_caps_grant_subject(const struct urd_caps_grant *grant)
{
    return grant->subject;
}

const uint8_t *urd_caps_grant_root_key_id(const struct urd_caps_grant *grant)
{
    return grant->identifier.root_key_id;
}

const uint8_t *urd_caps_grant_token_id(const struct urd_caps_grant *grant)
{
    return grant->identifier.token_id;
}

const char *urd_caps_grant_home(const struct urd_caps_grant *grant)
{
    return grant->identifier.node;
}

int64_t urd_caps_grant_issued_at_s(const struct urd_caps_grant *grant)
{
    return grant->identifier.issued_at_s;
}

int64_t urd_caps_grant_expires_s(const struct urd_caps_grant *grant)
{
    return grant->expires_s;
}

size_t urd_caps_grant_link_count(const struct urd_caps_grant *grant)
{
    return grant->link_count;
}

const uint8_t *urd_caps_grant_link(const struct urd_caps_grant *grant, size_t index,
                                   int64_t *ret_expires_s)
{
    assert(index < grant->link_count);
    if (ret_expires_s != NULL) *ret_expires_s = grant->links[index].expires_s;
    return grant->links[index].id;
}

size_t urd_caps_grant_action_count(const struct urd_caps_grant *grant)
{
    return grant->actions.count;
}

const char *urd_caps_grant_action(const struct urd_caps_grant *grant, size_t index)
{
    assert(index < grant->actions.count);
    return grant->actions.texts[index];
}

size_t urd_caps_grant_resource_count(const struct urd_caps_grant *grant)
{
    return grant->resources.count;
}

const char *urd_caps_grant_resource(const struct urd_caps_grant *grant, size_t index)
{
    assert(index < grant->resources.count);
    return grant->resources.texts[index];
}

static bool admits(const struct lists *lists, const char *name)
{
    size_t name_len = strlen(name);
    if (!urd_caps_name_ok(lists->kind, name, name_len)) return false;
    for (size_t i = 0; i < lists->count; i++) {
        const char *text = lists->texts[i];
        if (!urd_caps_glob_list_match(lists->kind, text, strlen(text), name, name_len))
            return false;
    }
    return true;
}

bool urd_caps_grant_allows(const struct urd_caps_grant *grant, const char *action,
                           const char *resource)
{
    if (!admits(&grant->actions, action)) return false;
    return resource == NULL ? grant->resources.count == 0 : admits(&grant->resources, resource);
}

urd_err urd_caps_grant_clone(const struct urd_caps_grant *grant, struct urd_caps_grant **ret)
{
    uint8_t *bytes;
    size_t bytes_len;
    urd_err err = urd_caps_grant_encode(grant, &bytes, &bytes_len);
    if (err != URD_OK) return err;
    err = urd_caps_grant_decode(bytes, bytes_len, ret);
    free(bytes);
    return err;
}

/* -- bytes ---------------------------------------------------------------------------------------
 */

/* What a grant may hold fits what it is written to. */
static_assert(1 + 8 + 16 + 8 + 8 + 1 + URD_CAPS_NODE_NAME_BYTES_MAX +
                      (1 + URD_CAPS_GRANT_ITEMS_MAX * 24) + 2 * (1 + URD_CAPS_GRANT_ITEMS_MAX * 2) +
                      URD_CAPS_GRANT_GLOB_BYTES_MAX <=
                  URD_CAPS_GRANT_BYTES_MAX,
              "an encoded grant");

static void write_be64(struct urd_caps_writer *w, int64_t value)
{
    uint8_t bytes[8];
    urd_caps_put_be64(bytes, (uint64_t)value);
    urd_caps_write(w, bytes, sizeof bytes);
}

static void write_lists(struct urd_caps_writer *w, const struct lists *lists)
{
    urd_caps_write_byte(w, (uint8_t)lists->count);
    for (size_t i = 0; i < lists->count; i++) {
        size_t len = strlen(lists->texts[i]);
        urd_caps_write_byte(w, (uint8_t)(len >> 8));
        urd_caps_write_byte(w, (uint8_t)len);
        urd_caps_write(w, lists->texts[i], len);
    }
}

urd_err urd_caps_grant_encode(const struct urd_caps_grant *grant, uint8_t **ret_bytes,
                              size_t *ret_bytes_len)
{
    const struct urd_caps_identifier *id = &grant->identifier;
    struct urd_caps_writer w = { .bytes = malloc(URD_CAPS_GRANT_BYTES_MAX),
                                 .size = URD_CAPS_GRANT_BYTES_MAX };
    if (w.bytes == NULL) return URD_E_NOMEM;
    urd_caps_write_byte(&w, VERSION);
    urd_caps_write(&w, id->root_key_id, sizeof id->root_key_id);
    urd_caps_write(&w, id->token_id, sizeof id->token_id);
    write_be64(&w, id->issued_at_s);
    write_be64(&w, grant->expires_s);
    urd_caps_write_byte(&w, (uint8_t)strlen(id->node));
    urd_caps_write(&w, id->node, strlen(id->node));
    urd_caps_write_byte(&w, (uint8_t)grant->link_count);
    for (size_t i = 0; i < grant->link_count; i++) {
        urd_caps_write(&w, grant->links[i].id, URD_CAPS_LINK_BYTES);
        write_be64(&w, grant->links[i].expires_s);
    }
    write_lists(&w, &grant->actions);
    write_lists(&w, &grant->resources);
    assert(!w.full);
    uint8_t *fitting = realloc(w.bytes, w.len);
    *ret_bytes = fitting != NULL ? fitting : w.bytes;
    *ret_bytes_len = w.len;
    return URD_OK;
}

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

/* The next @len bytes, or NULL. */
static const uint8_t *take(struct reader *r, size_t len)
{
    if (len > (size_t)(r->end - r->at)) return NULL;
    const uint8_t *at = r->at;
    r->at += len;
    return at;
}

static bool instant_ok(int64_t s)
{
    return (s >= 0 && s <= URD_CAPS_TIME_S_MAX) || s == URD_CAPS_NO_EXPIRY;
}

static urd_err take_head(struct reader *r, struct urd_caps_grant **ret)
{
    struct urd_caps_identifier id = { 0 };
    const uint8_t *fixed = take(r, 42), *name;
    if (fixed == NULL) return URD_E_INVALID;
    if (fixed[0] != VERSION) return URD_E_VERSION;
    size_t name_len = fixed[41];
    if (name_len > URD_CAPS_NODE_NAME_BYTES_MAX || (name = take(r, name_len)) == NULL)
        return URD_E_INVALID;
    memcpy(id.root_key_id, fixed + 1, 8);
    memcpy(id.token_id, fixed + 9, 16);
    id.issued_at_s = (int64_t)urd_caps_get_be64(fixed + 25);
    int64_t expires_s = (int64_t)urd_caps_get_be64(fixed + 33);
    memcpy(id.node, name, name_len);
    if (strlen(id.node) != name_len || !urd_caps_node_name_ok(id.node)) return URD_E_INVALID;
    if (id.issued_at_s == URD_CAPS_NO_EXPIRY || !instant_ok(id.issued_at_s)) return URD_E_INVALID;
    if (!instant_ok(expires_s)) return URD_E_INVALID;
    urd_err err = urd_caps_grant_new(&id, ret);
    if (err == URD_OK) (*ret)->expires_s = expires_s;
    return err;
}

static urd_err take_links(struct reader *r, struct urd_caps_grant *grant)
{
    const uint8_t *count = take(r, 1);
    if (count == NULL) return URD_E_INVALID;
    for (unsigned i = 0; i < *count; i++) {
        const uint8_t *link = take(r, URD_CAPS_LINK_BYTES + 8);
        if (link == NULL) return URD_E_INVALID;
        int64_t expires_s = (int64_t)urd_caps_get_be64(link + URD_CAPS_LINK_BYTES);
        if (!instant_ok(expires_s)) return URD_E_INVALID;
        urd_err err = add_link(grant, link, expires_s);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static urd_err take_lists(struct reader *r, struct urd_caps_grant *grant, struct lists *lists)
{
    const uint8_t *count = take(r, 1);
    if (count == NULL) return URD_E_INVALID;
    for (unsigned i = 0; i < *count; i++) {
        const uint8_t *len = take(r, 2), *text;
        if (len == NULL) return URD_E_INVALID;
        size_t text_len = (size_t)len[0] << 8 | len[1];
        if ((text = take(r, text_len)) == NULL) return URD_E_INVALID;
        urd_err err = add_list(grant, lists, (struct urd_caps_bytes){ text, text_len });
        if (err != URD_OK) return err == URD_E_NOMEM ? err : URD_E_INVALID;
    }
    return URD_OK;
}

urd_err urd_caps_grant_decode(const uint8_t *bytes, size_t bytes_len, struct urd_caps_grant **ret)
{
    struct reader r = { bytes, bytes + bytes_len };
    struct urd_caps_grant *grant;
    urd_err err = take_head(&r, &grant);
    if (err != URD_OK) return err;
    err = take_links(&r, grant);
    if (err == URD_OK) err = take_lists(&r, grant, &grant->actions);
    if (err == URD_OK) err = take_lists(&r, grant, &grant->resources);
    if (err == URD_OK && r.at != r.end) err = URD_E_INVALID;
    if (err != URD_OK) {
        urd_caps_grant_free(grant);
        return err;
    }
    *ret = grant;
    return URD_OK;
}
