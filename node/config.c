/* One row a key: where it lies in the struct, how its text is read, what it is by default.
 *
 *     text -> lines short enough for libinih -> libinih -> row -> field -> checks of the whole */
#include "node/config.h"

#include <assert.h>
#include <ctype.h>
#include <ini.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caps/identifier.h"
#include "node/say_internal.h"

/* ---- the table ---- */

enum type {
    TYPE_NAME,
    TYPE_ADDRESS,
    TYPE_BOOL,
    TYPE_COUNT,
    TYPE_NS,
    TYPE_BYTES,
    TYPE_BPS,
    TYPE_HOSTS,
    TYPE_CONTEXT
};

struct row {
    const char *section, *key;
    enum type type;
    size_t offset;
    const char *fallback; /* as text; NULL: none */
    uint64_t min, max;    /* of numbers, in the field's unit */
    const char *meaning;
};

#define AT(field) offsetof(struct node_config, field)
#define SECONDS   UINT64_C(1000000000)
#define DAYS      (UINT64_C(86400) * SECONDS)

/* clang-format off */
static const struct row rows[] = {
    { "node", "name", TYPE_NAME, AT(name), NULL, 0, 0, "this node's name; its certificate carries it" },
    { "node", "cluster", TYPE_NAME, AT(cluster), "urd", 0, 0, "the cluster's name, for people" },
    { "rpc", "listen", TYPE_ADDRESS, AT(rpc_listen), NULL, 0, 0, "ADDR:PORT for requests" },
    { "rpc", "advertise", TYPE_ADDRESS, AT(rpc_advertise), "", 0, 0, "ADDR:PORT that others dial; empty: as listen" },
    { "rpc", "plain", TYPE_BOOL, AT(rpc_plain), "no", 0, 0, "yes: no TLS, which is allowed on the loopback only" },
    { "rpc", "inflight", TYPE_COUNT, AT(rpc_inflight), "1024", 1, 4096, "requests handled at once; more wait unread" },
    { "data", "listen", TYPE_ADDRESS, AT(data_listen), NULL, 0, 0, "ADDR:PORT for the datagrams of file transfers" },
    { "data", "advertise", TYPE_ADDRESS, AT(data_advertise), "", 0, 0, "ADDR:PORT that peers send datagrams to; empty: as listen" },
    { "data", "rate_max", TYPE_BPS, AT(data_rate_max_bps), "0", 0, UINT64_MAX, "most that one transfer may send; 0: no limit" },
    { "http", "listen", TYPE_ADDRESS, AT(http_listen), "", 0, 0, "ADDR:PORT of /health and /metrics, loopback only; empty: off" },
    { "http", "allow", TYPE_HOSTS, AT(http_allow), "", 0, 0, "hosts that sagas may call, with commas between; may stand several times" },
    { "peer", "heartbeat", TYPE_NS, AT(peer_heartbeat_ns), "500ms", SECONDS / 20, 60 * SECONDS, "how often members talk" },
    { "store", "size", TYPE_BYTES, AT(store_size_bytes), "64GiB", UINT64_C(1) << 24, UINT64_C(16) << 40, "what the store may grow to; reserved as addresses, not on disk" },
    { "store", "reserve", TYPE_BYTES, AT(store_reserve_bytes), "16MiB", 0, UINT64_C(1) << 40, "of it kept for undoing and ending when it is full" },
    { "saga", "retention", TYPE_NS, AT(saga_retention_ns), "7d", 0, 3650 * DAYS, "how long a finished saga can be shown" },
    { "saga", "key_retention", TYPE_NS, AT(saga_key_retention_ns), "30d", 60 * SECONDS, 3650 * DAYS, "how long its key still finds it" },
    { "saga", "inflight", TYPE_COUNT, AT(saga_inflight), "100000", 1, 10000000, "open sagas; more are refused for the moment" },
    { "caps", "expires_default", TYPE_NS, AT(caps_expires_default_ns), "24h", SECONDS, 3650 * DAYS, "of a token minted without an expiry" },
    { "caps", "expires_max", TYPE_NS, AT(caps_expires_max_ns), "30d", SECONDS, 3650 * DAYS, "the longest that may be asked for" },
    { "caps", "context", TYPE_CONTEXT, AT(caps_context), "", 0, 0, "names that requests may claim a value of, for `NAME = VALUE` caveats, with commas between" },
    { "revocation", "max_stale", TYPE_NS, AT(revocation_max_stale_ns), "0", 0, 30 * DAYS, "refuse tokens of a node unheard for so long; 0: off" },
    { "runtime", "workers", TYPE_COUNT, AT(runtime_workers), "0", 0, 64, "threads that run tasks; 0: one a core" },
    { "runtime", "drain", TYPE_NS, AT(drain_ns), "10s", 0, 3600 * SECONDS, "what requests in flight have when the node is told to stop" },
};
/* clang-format on */
#define ROWS (sizeof rows / sizeof rows[0])

bool node_config_key(unsigned index, struct node_config_key *ret)
{
    static _Thread_local char name[64];
    if (index >= ROWS) return false;
    const struct row *row = &rows[index];
    (void)snprintf(name, sizeof name, "%s.%s", row->section, row->key);
    *ret =
        (struct node_config_key){ name, row->fallback != NULL ? row->fallback : "", row->meaning };
    return true;
}

/* ---- numbers with units ---- */

struct unit {
    const char *name;
    uint64_t factor;
};
static const struct unit ns_units[] = {
    { "d", DAYS },    { "h", 3600 * SECONDS },  { "m", 60 * SECONDS },
    { "s", SECONDS }, { "ms", SECONDS / 1000 }, { NULL, 0 }
};
static const struct unit byte_units[] = { { "TiB", UINT64_C(1) << 40 },
                                          { "GiB", UINT64_C(1) << 30 },
                                          { "MiB", UINT64_C(1) << 20 },
                                          { "KiB", UINT64_C(1) << 10 },
                                          { "B", 1 },
                                          { NULL, 0 } };
static const struct unit bps_units[] = { { "Gbit", UINT64_C(1000000000) },
                                         { "Mbit", UINT64_C(1000000) },
                                         { "Kbit", UINT64_C(1000) },
                                         { "bit", 1 },
                                         { NULL, 0 } };
static const struct unit count_units[] = { { "", 1 }, { NULL, 0 } };

static const struct unit *units_of(enum type type)
{
    switch (type) {
    case TYPE_NS:
        return ns_units;
    case TYPE_BYTES:
        return byte_units;
    case TYPE_BPS:
        return bps_units;
    default:
        return count_units;
    }
}

/* Digits, then a unit; 0 needs none. */
static bool number_parse(const char *text, const struct unit *units, uint64_t *ret)
{
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (value > (UINT64_MAX - 9) / 10) return false;
        value = value * 10 + (uint64_t)(*at - '0');
    }
    if (at == text) return false;
    if (value == 0 && *at == 0) {
        *ret = 0;
        return true;
    }
    for (; units->name != NULL; units++) {
        if (strcmp(at, units->name) != 0) continue;
        if (value > UINT64_MAX / units->factor) return false;
        *ret = value * units->factor;
        return true;
    }
    return false;
}

static void number_format(uint64_t value, const struct unit *units, char *ret, size_t ret_size)
{
    if (value == 0) {
        (void)snprintf(ret, ret_size, "0");
        return;
    }
    while (units[1].name != NULL && value % units->factor != 0)
        units++;
    (void)snprintf(ret, ret_size, "%" PRIu64 "%s", value / units->factor, units->name);
}

static bool is_number(enum type type)
{
    return type == TYPE_COUNT || type == TYPE_NS || type == TYPE_BYTES || type == TYPE_BPS;
}

/* Counts are 32 bits wide, but for saga.inflight. */
static bool is_narrow(const struct row *row)
{
    return row->type == TYPE_COUNT && row->offset != AT(saga_inflight);
}

static uint64_t number_get(const struct node_config *config, const struct row *row)
{
    const char *at = (const char *)config + row->offset;
    if (is_narrow(row)) {
        uint32_t narrow;
        memcpy(&narrow, at, sizeof narrow);
        return narrow;
    }
    uint64_t wide;
    memcpy(&wide, at, sizeof wide);
    return wide;
}

static void number_set(struct node_config *config, const struct row *row, uint64_t value)
{
    char *at = (char *)config + row->offset;
    uint32_t narrow = (uint32_t)value;
    if (is_narrow(row))
        memcpy(at, &narrow, sizeof narrow);
    else
        memcpy(at, &value, sizeof value);
}

/* ---- addresses ---- */

/* Where `:PORT` begins; NULL: @text is no address. */
static const char *port_of(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text) return NULL;
    if (text[0] == '[' ? colon[-1] != ']' || colon - text < 3
                       : memchr(text, ':', (size_t)(colon - text)) != NULL)
        return NULL;
    for (const char *c = text; c < colon; c++)
        if (!isalnum((unsigned char)*c) && strchr(".-_[]:%", *c) == NULL) return NULL;
    const char *digits = colon + 1;
    size_t len = strlen(digits);
    if (len == 0 || len > 5 || strspn(digits, "0123456789") != len) return NULL;
    return strtoul(digits, NULL, 10) <= 65535 ? colon : NULL;
}

bool node_address_ok(const char *text)
{
    return strlen(text) <= NODE_ADDRESS_BYTES_MAX && port_of(text) != NULL;
}

bool node_address_is_loopback(const char *text)
{
    const char *colon = port_of(text);
    if (colon == NULL) return false;
    size_t len = (size_t)(colon - text);
    if (len == 9 && memcmp(text, "localhost", 9) == 0) return true;
    if (len == 5 && memcmp(text, "[::1]", 5) == 0) return true;
    /* 127.0.0.0/8, in four plain parts: 127.evil.example is a name */
    return strncmp(text, "127.", 4) == 0 && strspn(text, "0123456789.") == len;
}

uint16_t node_address_port(const char *text)
{
    const char *colon = port_of(text);
    return colon == NULL ? 0 : (uint16_t)strtoul(colon + 1, NULL, 10);
}

urd_err node_address_set_port(char *text, size_t text_size, uint16_t port)
{
    const char *colon = port_of(text);
    assert(colon != NULL);
    char digits[8];
    int len = snprintf(digits, sizeof digits, "%u", port);
    size_t at = (size_t)(colon - text) + 1;
    if (at + (size_t)len + 1 > text_size) return URD_E_TOO_BIG;
    memcpy(text + at, digits, (size_t)len + 1);
    return URD_OK;
}

bool node_url_ok(const char *text)
{
    if (strlen(text) > NODE_ADDRESS_BYTES_MAX) return false;
    if (strncmp(text, "tls+tcp://", 10) == 0) return node_address_ok(text + 10);
    if (strncmp(text, "tcp://", 6) == 0) return node_address_is_loopback(text + 6);
    return false;
}

urd_err node_config_peer_parse(const char *text, struct node_config_peer *ret, char *errmsg,
                               size_t errmsg_len)
{
    const char *equals = strchr(text, '=');
    struct node_config_peer peer = { 0 };
    if (equals == NULL || (size_t)(equals - text) > NODE_NAME_BYTES_MAX) {
        node_say(errmsg, errmsg_len, "`%s`: a peer is NAME=URL", text);
        return URD_E_CONFIG;
    }
    memcpy(peer.name, text, (size_t)(equals - text));
    if (!urd_caps_node_name_ok(peer.name)) {
        node_say(errmsg, errmsg_len, "`%s`: not a node's name (letters, digits, . _ -)", peer.name);
        return URD_E_CONFIG;
    }
    if (!node_url_ok(equals + 1)) {
        node_say(errmsg, errmsg_len, "`%s`: a peer's URL is tls+tcp://ADDR:PORT", equals + 1);
        return URD_E_CONFIG;
    }
    (void)snprintf(peer.url, sizeof peer.url, "%s", equals + 1);
    *ret = peer;
    return URD_OK;
}

/* ---- reading ---- */

static bool is_list(const struct row *row)
{
    return row->type == TYPE_HOSTS || row->type == TYPE_CONTEXT;
}

struct reader {
    struct node_config *config;
    bool seen[ROWS];
    char *errmsg;
    size_t errmsg_len;
    bool failed;
};

static bool fail(struct reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool fail(struct reader *reader, const char *format, ...)
{
    if (reader->failed) return false;
    reader->failed = true;
    if (reader->errmsg == NULL || reader->errmsg_len == 0) return false;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(reader->errmsg, reader->errmsg_len, format, args);
    va_end(args);
    return false;
}

static bool host_ok(const char *host)
{
    size_t len = strlen(host);
    return len > 0 && len <= NODE_ADDRESS_BYTES_MAX &&
           strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]*") == len;
}

/* One more item of a list: @width bytes each, @max of them. */
static bool add_item(struct reader *reader, const struct row *row, const char *item, char *items,
                     size_t width, uint32_t max, uint32_t *count)
{
    if (*count == max) return fail(reader, "%s.%s: more than %u", row->section, row->key, max);
    (void)snprintf(items + *count * width, width, "%s", item);
    (*count)++;
    return true;
}

/* A claim's name, as caveats spell it: a-z, then a-z 0-9 _ . - */
static bool context_name_ok(const char *name)
{
    return name[0] >= 'a' && name[0] <= 'z' && strlen(name) <= NODE_NAME_BYTES_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == strlen(name) &&
           strcmp(name, "node") != 0; /* who a peer is */
}

static bool set_list(struct reader *reader, const struct row *row, const char *value)
{
    struct node_config *config = reader->config;
    char list[NODE_CONFIG_LINE_BYTES_MAX + 1];
    (void)snprintf(list, sizeof list, "%s", value);
    char *rest = list;
    for (char *item; (item = strsep(&rest, ", \t")) != NULL;) {
        if (*item == 0) continue;
        bool hosts = row->type == TYPE_HOSTS;
        if (!(hosts ? host_ok(item) : context_name_ok(item)))
            return fail(reader, "%s.%s: `%s` is not a %s in lower case", row->section, row->key,
                        item, hosts ? "host" : "name");
        bool ok =
            hosts ? add_item(reader, row, item, config->http_allow[0], sizeof config->http_allow[0],
                             NODE_CONFIG_HOSTS_MAX, &config->http_allow_count)
                  : add_item(reader, row, item, config->caps_context[0],
                             sizeof config->caps_context[0], NODE_CONFIG_CONTEXT_MAX,
                             &config->caps_context_count);
        if (!ok) return false;
    }
    return true;
}

static bool set(struct reader *reader, const struct row *row, const char *value)
{
    char *at = (char *)reader->config + row->offset;
    uint64_t number;
    switch (row->type) {
    case TYPE_NAME:
        if (!urd_caps_node_name_ok(value))
            return fail(reader, "%s.%s: `%s` is not a name (1 to 63 of letters, digits, . _ -)",
                        row->section, row->key, value);
        (void)snprintf(at, NODE_NAME_BYTES_MAX + 1, "%s", value);
        return true;
    case TYPE_ADDRESS:
        if (*value != 0 && !node_address_ok(value))
            return fail(reader, "%s.%s: `%s` is not ADDR:PORT", row->section, row->key, value);
        (void)snprintf(at, NODE_ADDRESS_BYTES_MAX + 1, "%s", value);
        return true;
    case TYPE_BOOL:
        if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
            return fail(reader, "%s.%s: `%s` is neither yes nor no", row->section, row->key, value);
        *(bool *)at = value[0] == 'y';
        return true;
    case TYPE_HOSTS:
    case TYPE_CONTEXT:
        return set_list(reader, row, value);
    default:
        if (!number_parse(value, units_of(row->type), &number))
            return fail(reader, "%s.%s: `%s` is not a number with its unit, such as %s",
                        row->section, row->key, value, row->fallback);
        if (number < row->min || number > row->max)
            return fail(reader, "%s.%s: `%s` is out of bounds", row->section, row->key, value);
        number_set(reader->config, row, number);
        return true;
    }
}

static bool set_peer(struct reader *reader, const char *name, const char *url)
{
    struct node_config *config = reader->config;
    char text[NODE_CONFIG_LINE_BYTES_MAX + 2], why[256] = "";
    (void)snprintf(text, sizeof text, "%s=%s", name, url);
    struct node_config_peer peer;
    if (node_config_peer_parse(text, &peer, why, sizeof why) != URD_OK)
        return fail(reader, "[peers] %s", why);
    for (uint32_t i = 0; i < config->peer_count; i++)
        if (strcmp(config->peers[i].name, peer.name) == 0)
            return fail(reader, "[peers] %s stands twice", peer.name);
    if (config->peer_count == NODE_CONFIG_PEERS_MAX)
        return fail(reader, "[peers] more than %u", NODE_CONFIG_PEERS_MAX);
    config->peers[config->peer_count++] = peer;
    return true;
}

/* libinih's callback: 1 to go on, 0 for an error at this line. */
/* A name and a decimal number; the engine judges both anew when it takes them. */
static bool set_quantity(struct reader *reader, const char *name, const char *value)
{
    struct node_config *config = reader->config;
    struct node_config_quantity quantity = { 0 };
    const char *p = value;
    if (strlen(name) == 0 || strlen(name) > NODE_NAME_BYTES_MAX)
        return fail(reader, "[quantities] a name has 1 to %u bytes", NODE_NAME_BYTES_MAX);
    (void)snprintf(quantity.name, sizeof quantity.name, "%s", name);
    for (; *p >= '0' && *p <= '9' && quantity.amount < UINT64_MAX / 100; p++)
        quantity.amount = quantity.amount * 10 + (uint64_t)(*p - '0');
    if (p == value || *p != '\0')
        return fail(reader, "[quantities] %s: `%s` is no amount", name, value);
    for (uint32_t i = 0; i < config->quantity_count; i++)
        if (strcmp(config->quantities[i].name, name) == 0)
            return fail(reader, "[quantities] %s stands twice", name);
    if (config->quantity_count == NODE_CONFIG_QUANTITIES_MAX)
        return fail(reader, "[quantities] more than %u", NODE_CONFIG_QUANTITIES_MAX);
    config->quantities[config->quantity_count++] = quantity;
    return true;
}

static int on_pair(void *arg, const char *section, const char *name, const char *value)
{
    struct reader *reader = arg;
    if (reader->failed) return 0;
    if (strcmp(section, "peers") == 0) return set_peer(reader, name, value);
    if (strcmp(section, "quantities") == 0) return set_quantity(reader, name, value);
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].section, section) != 0 || strcmp(rows[i].key, name) != 0) continue;
        if (reader->seen[i] && !is_list(&rows[i]))
            return fail(reader, "%s.%s stands twice", section, name);
        reader->seen[i] = true;
        return set(reader, &rows[i], value);
    }
    return fail(reader, "unknown key `%s` in section [%s]", name, section);
}

void node_config_default(struct node_config *ret)
{
    *ret = (struct node_config){ 0 };
    struct reader reader = { .config = ret };
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].fallback == NULL || rows[i].fallback[0] == 0) continue;
        bool ok = set(&reader, &rows[i], rows[i].fallback);
        assert(ok);
    }
}

/* What no single key can tell. */
static bool check_whole(struct reader *reader)
{
    const struct node_config *config = reader->config;
    if (config->name[0] == 0) return fail(reader, "node.name is missing");
    if (config->rpc_listen[0] == 0) return fail(reader, "rpc.listen is missing");
    if (config->data_listen[0] == 0) return fail(reader, "data.listen is missing");
    if (config->rpc_plain && !node_address_is_loopback(config->rpc_listen))
        return fail(reader, "rpc.plain = yes is allowed on the loopback only, and rpc.listen is %s",
                    config->rpc_listen);
    if (config->http_listen[0] != 0 && !node_address_is_loopback(config->http_listen))
        return fail(reader,
                    "http.listen = %s: the view has no TLS of its own and listens on the "
                    "loopback only",
                    config->http_listen);
    if (config->caps_expires_default_ns > config->caps_expires_max_ns)
        return fail(reader, "caps.expires_default is longer than caps.expires_max");
    if (config->store_reserve_bytes > config->store_size_bytes / 2)
        return fail(reader, "store.reserve is more than half of store.size");
    for (uint32_t i = 0; i < config->peer_count; i++)
        if (strcmp(config->peers[i].name, config->name) == 0)
            return fail(reader, "[peers] %s is this node itself", config->name);
    return true;
}

/* libinih would take the rest of a long line for the next one, and stop at a NUL. */
static bool check_lines(struct reader *reader, const char *text, size_t text_len)
{
    unsigned line = 1;
    size_t from = 0;
    for (size_t i = 0; i <= text_len; i++) {
        if (i < text_len && text[i] == 0) return fail(reader, "line %u: a NUL byte", line);
        if (i < text_len && text[i] != '\n') continue;
        if (i - from > NODE_CONFIG_LINE_BYTES_MAX)
            return fail(reader, "line %u is longer than %u bytes", line,
                        NODE_CONFIG_LINE_BYTES_MAX);
        from = i + 1;
        line++;
    }
    return true;
}

urd_err node_config_parse(const char *text, size_t text_len, struct node_config *ret, char *errmsg,
                          size_t errmsg_len)
{
    if (text_len > NODE_CONFIG_BYTES_MAX) {
        node_say(errmsg, errmsg_len, "urd.conf is longer than %u bytes", NODE_CONFIG_BYTES_MAX);
        return URD_E_TOO_BIG;
    }
    struct node_config *config = malloc(sizeof *config);
    char *copy = malloc(text_len + 1);
    urd_err err = URD_E_NOMEM;
    if (config == NULL || copy == NULL) goto out;
    memcpy(copy, text, text_len);
    copy[text_len] = 0;
    node_config_default(config);

    char why[256] = "";
    struct reader reader = { .config = config, .errmsg = why, .errmsg_len = sizeof why };
    err = URD_E_CONFIG;
    if (!check_lines(&reader, copy, text_len)) {
        node_say(errmsg, errmsg_len, "%s", why);
        goto out;
    }
    int line = ini_parse_string(copy, on_pair, &reader);
    if (line != 0) {
        node_say(errmsg, errmsg_len, "line %d: %s", line,
                 reader.failed ? why : "neither [section], `key = value` nor a comment");
        goto out;
    }
    if (!check_whole(&reader)) {
        node_say(errmsg, errmsg_len, "%s", why);
        goto out;
    }
    *ret = *config;
    err = URD_OK;
out:
    free(copy);
    free(config);
    return err;
}

/* ---- writing ---- */

static void value_format(const struct node_config *config, const struct row *row, char *ret,
                         size_t ret_size)
{
    const char *at = (const char *)config + row->offset;
    if (is_number(row->type))
        number_format(number_get(config, row), units_of(row->type), ret, ret_size);
    else if (row->type == TYPE_BOOL)
        (void)snprintf(ret, ret_size, "%s", *(const bool *)at ? "yes" : "no");
    else
        (void)snprintf(ret, ret_size, "%s", at);
}

static bool is_default(const struct node_config *config, const struct row *row, const char *value)
{
    if (row->fallback == NULL) return false;
    if (!is_number(row->type)) return strcmp(value, row->fallback) == 0;
    uint64_t number;
    return number_parse(row->fallback, units_of(row->type), &number) &&
           number == number_get(config, row);
}

/* The items of a list, a line each; returns how many there are. */
static uint32_t list_print(FILE *out, const struct node_config *config, const struct row *row)
{
    bool hosts = row->type == TYPE_HOSTS;
    uint32_t count = hosts ? config->http_allow_count : config->caps_context_count;
    for (uint32_t i = 0; i < count && out != NULL; i++)
        (void)fprintf(out, "%s = %s\n", row->key,
                      hosts ? config->http_allow[i] : config->caps_context[i]);
    return count;
}

urd_err node_config_format(const struct node_config *config, char **ret_text)
{
    char *text = NULL;
    size_t text_len = 0;
    FILE *out = open_memstream(&text, &text_len);
    if (out == NULL) return URD_E_NOMEM;
    const char *section = "";
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        char value[NODE_ADDRESS_BYTES_MAX + 1] = "";
        if (!is_list(row)) value_format(config, row, value, sizeof value);
        if (is_list(row) ? list_print(NULL, config, row) == 0 : is_default(config, row, value))
            continue;
        if (strcmp(section, row->section) != 0) {
            (void)fprintf(out, "%s[%s]\n", *section != 0 ? "\n" : "", row->section);
            section = row->section;
        }
        (void)fprintf(out, "# %s\n", row->meaning);
        if (is_list(row))
            (void)list_print(out, config, row);
        else
            (void)fprintf(out, "%s = %s\n", row->key, value);
    }
    if (config->peer_count > 0)
        (void)fprintf(out, "\n# addresses of other members, never trust\n[peers]\n");
    for (uint32_t i = 0; i < config->peer_count; i++)
        (void)fprintf(out, "%s = %s\n", config->peers[i].name, config->peers[i].url);
    if (config->quantity_count > 0)
        (void)fprintf(out, "\n# what sagas of this node reserve parts of\n[quantities]\n");
    for (uint32_t i = 0; i < config->quantity_count; i++)
        (void)fprintf(out, "%s = %" PRIu64 "\n", config->quantities[i].name,
                      config->quantities[i].amount);
    if (fclose(out) != 0) {
        free(text);
        return URD_E_NOMEM;
    }
    *ret_text = text;
    return URD_OK;
}
