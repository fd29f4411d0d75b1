/* How a predicate is read:
 *
 *     text -> name SP operator SP value -> a row of the table by name and operator -> its value
 * parser
 *
 * Every kind is one row: name, operator, parser, writer, test.  A name that has no row is custom.
 */
#include "caps/caveat.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "caps/glob.h"
#include "caps/octets_internal.h"
#include "caps/time_text.h"
#include "caps/token_internal.h"

#define NS_PER_S UINT64_C(1000000000)

static bool text_is(struct urd_caps_bytes bytes, const char *text)
{
    return text != NULL && bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

static const char *chars(struct urd_caps_bytes bytes)
{
    return (const char *)bytes.data;
}

/* -- values: one parser a shape ------------------------------------------------------------------
 */

/* Decimal, no sign, no leading zero, at most URD_CAPS_COUNT_MAX. */
static bool read_count(const uint8_t *text, size_t text_len, uint64_t *ret)
{
    uint64_t value = 0;
    if (text_len == 0 || text_len > 13) return false;
    if (text[0] == '0' && text_len > 1) return false;
    for (size_t i = 0; i < text_len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        value = 10 * value + (uint64_t)(text[i] - '0');
    }
    if (value > URD_CAPS_COUNT_MAX) return false;
    *ret = value;
    return true;
}

static bool parse_time(struct urd_caps_predicate *p)
{
    return urd_caps_time_parse(chars(p->value), p->value.len, &p->time_s) == URD_OK;
}

static bool parse_id(struct urd_caps_predicate *p)
{
    const char *text = chars(p->value);
    return p->value.len <= URD_CAPS_ID_BYTES_MAX && memchr(text, '/', p->value.len) == NULL &&
           urd_caps_name_ok(URD_CAPS_GLOB_RESOURCE, text, p->value.len);
}

static bool parse_count(struct urd_caps_predicate *p)
{
    return read_count(p->value.data, p->value.len, &p->count);
}

static bool parse_duration(struct urd_caps_predicate *p)
{
    return urd_caps_duration_parse(chars(p->value), p->value.len, &p->duration_ns) == URD_OK;
}

static bool parse_rate(struct urd_caps_predicate *p)
{
    const uint8_t *slash = memchr(p->value.data, '/', p->value.len);
    if (slash == NULL) return false;
    size_t count_len = (size_t)(slash - p->value.data);
    if (!read_count(p->value.data, count_len, &p->count)) return false;
    return urd_caps_duration_parse((const char *)slash + 1, p->value.len - count_len - 1,
                                   &p->duration_ns) == URD_OK;
}

static bool parse_actions(struct urd_caps_predicate *p)
{
    return urd_caps_glob_list_ok(URD_CAPS_GLOB_ACTION, chars(p->value), p->value.len);
}

static bool parse_resources(struct urd_caps_predicate *p)
{
    return urd_caps_glob_list_ok(URD_CAPS_GLOB_RESOURCE, chars(p->value), p->value.len);
}

static bool parse_link(struct urd_caps_predicate *p)
{
    return p->value.len == 2 * URD_CAPS_LINK_BYTES &&
           urd_caps_hex_read(p->value.data, p->link, URD_CAPS_LINK_BYTES);
}

static bool custom_key_ok(struct urd_caps_bytes name)
{
    if (name.len == 0 || name.len > URD_CAPS_CUSTOM_KEY_BYTES_MAX) return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if (c >= 'a' && c <= 'z') continue;
        if (i == 0 || (!(c >= '0' && c <= '9') && c != '_' && c != '.' && c != '-')) return false;
    }
    return true;
}

static bool visible(struct urd_caps_bytes value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] < 0x21 || value.data[i] > 0x7e) return false;
    return value.len > 0;
}

static bool parse_custom(struct urd_caps_predicate *p)
{
    return custom_key_ok(p->name) && visible(p->value);
}

/* -- tests: one a kind ---------------------------------------------------------------------------
 */

static bool holds_before(const struct urd_caps_predicate *p, const struct urd_caps_request *r)
{
    return r->now_ns / NS_PER_S < (uint64_t)p->time_s;
}

static bool holds_from(const struct urd_caps_predicate *p, const struct urd_caps_request *r)
{
    uint64_t now_ns = r->now_ns > UINT64_MAX - r->leeway_ns ? UINT64_MAX : r->now_ns + r->leeway_ns;
    return now_ns / NS_PER_S >= (uint64_t)p->time_s;
}

static bool holds_region(const struct urd_caps_predicate *p, const struct urd_caps_request *r)
{
    return text_is(p->value, r->region);
}

static bool holds_task(const struct urd_caps_predicate *p, const struct urd_caps_request *r)
{
    return text_is(p->value, r->task);
}

static bool holds_always(const struct urd_caps_predicate *p, const struct urd_caps_request *r)
{
    (void)p, (void)r;
    return true;
}

static bool admits(enum urd_caps_glob_kind kind, struct urd_caps_bytes list, const char *name)
{
    if (name == NULL || !urd_caps_name_ok(kind, name, strlen(name))) return false;
    return urd_caps_glob_list_match(kind, chars(list), list.len, name, strlen(name));
}

static bool holds_action(const struct urd_caps_predicate *p, const struct urd_caps_request *r)
{
    return r->any_action || admits(URD_CAPS_GLOB_ACTION, p->value, r->action);
}

static bool holds_resource(const struct urd_caps_predicate *p, const struct urd_caps_request *r)
{
    return r->any_resource || admits(URD_CAPS_GLOB_RESOURCE, p->value, r->resource);
}

static bool holds_fresh(const struct urd_caps_predicate *p, const struct urd_caps_request *r)
{
    return r->home_heard_ago_ns <= p->duration_ns;
}

static bool holds_custom(const struct urd_caps_predicate *p, const struct urd_caps_request *r)
{
    for (size_t i = 0; i < r->pair_count; i++)
        if (text_is(p->name, r->pairs[i].name) && text_is(p->value, r->pairs[i].value)) return true;
    return false;
}

/* -- writers: a value from its parsed fields; the others are written as they were read ------------
 */

struct value_text {
    char text[64];
};

static bool write_time(const struct urd_caps_predicate *p, struct value_text *out)
{
    return urd_caps_time_format(p->time_s, out->text) == URD_OK;
}

static bool write_count(const struct urd_caps_predicate *p, struct value_text *out)
{
    (void)snprintf(out->text, sizeof out->text, "%llu", (unsigned long long)p->count);
    return p->count <= URD_CAPS_COUNT_MAX;
}

static bool write_duration(const struct urd_caps_predicate *p, struct value_text *out)
{
    return urd_caps_duration_format(p->duration_ns, out->text) == URD_OK;
}

static bool write_rate(const struct urd_caps_predicate *p, struct value_text *out)
{
    char window[URD_CAPS_DURATION_TEXT_BYTES];
    if (urd_caps_duration_format(p->duration_ns, window) != URD_OK) return false;
    (void)snprintf(out->text, sizeof out->text, "%llu/%s", (unsigned long long)p->count, window);
    return p->count <= URD_CAPS_COUNT_MAX;
}

static bool write_link(const struct urd_caps_predicate *p, struct value_text *out)
{
    sodium_bin2hex(out->text, sizeof out->text, p->link, sizeof p->link);
    return true;
}

/* -- the table -----------------------------------------------------------------------------------
 */

struct row {
    enum urd_caps_kind kind;
    const char *name;
    const char *op;
    bool (*parse)(struct urd_caps_predicate *p);
    bool (*holds)(const struct urd_caps_predicate *p, const struct urd_caps_request *r);
    bool (*write)(const struct urd_caps_predicate *p,
                  struct value_text *out); /* NULL: the value as it is */
};

static const struct row rows[] = {
    { URD_CAPS_TIME_BEFORE, "time", "<", parse_time, holds_before, write_time },
    { URD_CAPS_TIME_FROM, "time", ">=", parse_time, holds_from, write_time },
    { URD_CAPS_REGION, "region", "=", parse_id, holds_region, NULL },
    { URD_CAPS_TASK, "task", "=", parse_id, holds_task, NULL },
    { URD_CAPS_USES, "uses", "<=", parse_count, holds_always, write_count },
    { URD_CAPS_RATE, "rate", "<=", parse_rate, holds_always, write_rate },
    { URD_CAPS_ACTION, "action", "=", parse_actions, holds_action, NULL },
    { URD_CAPS_RESOURCE, "resource", "=", parse_resources, holds_resource, NULL },
    { URD_CAPS_LINK, "link", "=", parse_link, holds_always, write_link },
    { URD_CAPS_FRESH, "fresh", "<=", parse_duration, holds_fresh, write_duration },
    { URD_CAPS_CUSTOM, NULL, "=", parse_custom, holds_custom, NULL }, /* last: any other name */
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

static const struct row *row_of_kind(enum urd_caps_kind kind)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].kind == kind) return &rows[i];
    return NULL;
}

/* The row for a name and an operator; *@known says whether the name has any row of its own. */
static const struct row *row_of_text(struct urd_caps_bytes name, struct urd_caps_bytes op,
                                     bool *known)
{
    *known = false;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        bool custom = rows[i].name == NULL;
        if (custom ? *known : !text_is(name, rows[i].name)) continue;
        if (!custom) *known = true;
        if (text_is(op, rows[i].op)) return &rows[i];
    }
    return NULL;
}

const char *urd_caps_kind_name(enum urd_caps_kind kind)
{
    static const char *const names[URD_CAPS_KIND_COUNT] = {
#define X(kind_, name) [kind_] = name,
        URD_CAPS_KIND_TABLE(X)
#undef X
    };
    return (unsigned)kind < URD_CAPS_KIND_COUNT ? names[kind] : "unknown";
}

/* Split at the first two spaces; any other space is found by the value's parser. */
static bool split(struct urd_caps_bytes text, struct urd_caps_bytes *name,
                  struct urd_caps_bytes *op, struct urd_caps_bytes *value)
{
    const uint8_t *end = text.data + text.len;
    const uint8_t *first = memchr(text.data, ' ', text.len);
    if (first == NULL) return false;
    const uint8_t *second = memchr(first + 1, ' ', (size_t)(end - first - 1));
    if (second == NULL) return false;
    *name = (struct urd_caps_bytes){ text.data, (size_t)(first - text.data) };
    *op = (struct urd_caps_bytes){ first + 1, (size_t)(second - first - 1) };
    *value = (struct urd_caps_bytes){ second + 1, (size_t)(end - second - 1) };
    return value->len > 0;
}

urd_err urd_caps_predicate_parse(struct urd_caps_bytes text, struct urd_caps_predicate *ret,
                                 char *errmsg, size_t errmsg_len)
{
    struct urd_caps_predicate p = { 0 };
    struct urd_caps_bytes op;
    bool known;
    if (text.len > URD_CAPS_PREDICATE_BYTES_MAX) {
        urd_caps_say(errmsg, errmsg_len, "caveat is longer than %d bytes",
                     URD_CAPS_PREDICATE_BYTES_MAX);
        return URD_E_TOO_BIG;
    }
    if (text.len == 0 || !split(text, &p.name, &op, &p.value)) {
        urd_caps_say(errmsg, errmsg_len, "caveat is not NAME OPERATOR VALUE, one space between");
        return URD_E_INVALID;
    }
    const struct row *row = row_of_text(p.name, op, &known);
    if (row == NULL) {
        urd_caps_say(errmsg, errmsg_len,
                     known ? "caveat `%.*s` takes another operator"
                           : "caveat `%.*s` is not known with this operator",
                     visible(p.name) ? (int)(p.name.len < 64 ? p.name.len : 64) : 0, chars(p.name));
        return URD_E_INVALID;
    }
    p.kind = row->kind;
    if (!row->parse(&p)) {
        urd_caps_say(errmsg, errmsg_len, "caveat `%s`: malformed value",
                     row->name == NULL ? "custom" : row->name);
        return URD_E_INVALID;
    }
    *ret = p;
    return URD_OK;
}

urd_err urd_caps_predicate_format(const struct urd_caps_predicate *predicate, char *ret_text,
                                  size_t text_size)
{
    const struct row *row = row_of_kind(predicate->kind);
    if (row == NULL) return URD_E_INVALID;
    struct urd_caps_predicate p = *predicate;
    struct value_text written;
    if (row->write != NULL) {
        if (!row->write(&p, &written)) return URD_E_INVALID;
        p.value = (struct urd_caps_bytes){ (const uint8_t *)written.text, strlen(written.text) };
    } else if (p.value.len == 0 || !row->parse(&p)) {
        return URD_E_INVALID;
    }
    if (row->name != NULL)
        p.name = (struct urd_caps_bytes){ (const uint8_t *)row->name, strlen(row->name) };

    size_t text_len = p.name.len + strlen(row->op) + p.value.len + 2;
    if (text_len > URD_CAPS_PREDICATE_BYTES_MAX || text_len >= text_size) return URD_E_TOO_BIG;
    (void)snprintf(ret_text, text_size, "%.*s %s %.*s", (int)p.name.len, chars(p.name), row->op,
                   (int)p.value.len, chars(p.value));
    return URD_OK;
}

bool urd_caps_predicate_holds(const struct urd_caps_predicate *predicate,
                              const struct urd_caps_request *request)
{
    const struct row *row = row_of_kind(predicate->kind);
    assert(row != NULL);
    return row->holds(predicate, request);
}
