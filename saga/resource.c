/* Canonical resources: parts with '/' between; any byte outside A-Za-z0-9._- is %XX. */
#include "saga/resource.h"

#include <assert.h>
#include <string.h>

struct text {
    char *at;
    size_t len;
};

static void add(struct text *t, const char *part, size_t len)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)part[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '.' || c == '_' || c == '-';
        assert(t->len + 4 < SAGA_RESOURCE_BYTES_MAX);
        if (plain) {
            t->at[t->len++] = (char)c;
        } else {
            t->at[t->len++] = '%';
            t->at[t->len++] = hex[c >> 4];
            t->at[t->len++] = hex[c & 15];
        }
    }
    t->at[t->len] = '\0';
}

static void begin(struct text *t, char *ret, const char *kind)
{
    t->at = ret;
    t->len = strlen(kind);
    memcpy(ret, kind, t->len + 1);
}

static void slash(struct text *t)
{
    t->at[t->len++] = '/';
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* A part of a URL's path with its own escapes undone, so that one thing has one name. */
static urd_err add_path_part(struct text *t, const char *part, size_t len)
{
    char raw[SAGA_URL_BYTES_MAX + 1];
    size_t raw_len = 0;
    for (size_t i = 0; i < len; i++) {
        int high = part[i] == '%' && i + 2 < len ? digit(part[i + 1]) : -1;
        int low = high >= 0 ? digit(part[i + 2]) : -1;
        if (part[i] == '%' && low < 0) return URD_E_INVALID;
        raw[raw_len++] = low < 0 ? part[i] : (char)(high * 16 + low);
        if (low >= 0) i += 2;
    }
    bool dots = (raw_len == 1 && raw[0] == '.') || (raw_len == 2 && raw[0] == '.' && raw[1] == '.');
    if (raw_len == 0 || dots) return URD_E_INVALID;
    slash(t);
    add(t, raw, raw_len);
    return URD_OK;
}

static urd_err of_url(const char *url, char *ret)
{
    char host[SAGA_URL_BYTES_MAX + 1];
    const char *at = strstr(url, "://") + 3;
    size_t host_len = strcspn(at, "/?#");
    struct text t;

    if (host_len == 0 || memchr(at, '@', host_len) != NULL) return URD_E_INVALID;
    for (size_t i = 0; i < host_len; i++)
        host[i] = at[i] >= 'A' && at[i] <= 'Z' ? (char)(at[i] - 'A' + 'a') : at[i];
    begin(&t, ret, "http");
    slash(&t);
    add(&t, host, host_len);
    at += host_len;
    while (*at == '/') {
        size_t len = strcspn(++at, "/?#");
        if (len == 0 && *at != '/') break; /* "/" at the end names the same */
        urd_err err = add_path_part(&t, at, len);
        if (err != URD_OK) return err;
        at += len;
    }
    return URD_OK;
}

urd_err saga_resource_of_action(const char *action, char ret[SAGA_RESOURCE_BYTES_MAX])
{
    struct text t;
    if (saga_action_is_url(action)) return of_url(action, ret);
    begin(&t, ret, "do");
    slash(&t);
    add(&t, action, strlen(action));
    return URD_OK;
}

void saga_resource_of_thing(const char *space, const char *thing, char ret[SAGA_RESOURCE_BYTES_MAX])
{
    struct text t;
    begin(&t, ret, space);
    slash(&t);
    add(&t, thing, strlen(thing));
}
