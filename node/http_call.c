/* A call: resolve, check the address, pass saga_dispatch_take(), then drive libcurl by readiness
 * until it is over. */
#include "node/http_call.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runtime/net.h"
#include "runtime/rpc.h"
#include "saga/json.h"

enum { HOST_BYTES = 256, ALLOW_MAX = 1024, READY_MAX = 8 };
#define CONNECT_NS     UINT64_C(10000000000)
#define RUN_DEFAULT_NS UINT64_C(30000000000)

struct node_http_calls {
    char **allow;
    size_t allow_count;
    CURLSH *
        share; /* connections and TLS sessions; all calls run on one worker, so it needs no locks */
};

struct call {
    CURLM *multi;
    CURL *easy;
    struct urd_fdset *fds;
    struct curl_slist *headers, *resolve;
    struct urd_buffer body;
    uint64_t wake_ns; /* when libcurl wants to be called without an event */
    struct urd_cx *cx;
    bool too_big;
};

urd_err node_http_calls_new(const char *const *allow, size_t allow_count,
                            struct node_http_calls **ret)
{
    if (allow_count > ALLOW_MAX) return URD_E_TOO_BIG;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return URD_E_SYSTEM;
    struct node_http_calls *calls = calloc(1, sizeof *calls);
    if (calls == NULL) return URD_E_NOMEM;
    calls->allow = calloc(allow_count + 1, sizeof *calls->allow);
    calls->share = curl_share_init();
    if (calls->allow == NULL || calls->share == NULL) goto fail;
    for (; calls->allow_count < allow_count; calls->allow_count++)
        if ((calls->allow[calls->allow_count] = strdup(allow[calls->allow_count])) == NULL)
            goto fail;
    (void)curl_share_setopt(calls->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT);
    (void)curl_share_setopt(calls->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    *ret = calls;
    return URD_OK;
fail:
    node_http_calls_free(calls);
    return URD_E_NOMEM;
}

void node_http_calls_free(struct node_http_calls *calls)
{
    if (calls == NULL) return;
    for (size_t i = 0; i < calls->allow_count; i++)
        free(calls->allow[i]);
    free(calls->allow);
    if (calls->share != NULL) (void)curl_share_cleanup(calls->share);
    free(calls);
    curl_global_cleanup();
}

/* Host (without brackets) and port of an http(s) @url.  False: it is none, or names a user. */
static bool host_of(const char *url, char host[HOST_BYTES], char port[8])
{
    bool ok = false;
    char *scheme = NULL, *h = NULL, *p = NULL, *user = NULL;
    CURLU *u = curl_url();
    if (u == NULL) return false;
    if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK) goto done;
    if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) goto done;
    if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) goto done;
    if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK) goto done;
    if (curl_url_get(u, CURLUPART_HOST, &h, 0) != CURLUE_OK) goto done;
    if (curl_url_get(u, CURLUPART_PORT, &p, CURLU_DEFAULT_PORT) != CURLUE_OK) goto done;
    size_t len = strlen(h);
    bool bracketed = h[0] == '[' && h[len - 1] == ']';
    if (len >= HOST_BYTES || strlen(p) >= 8) goto done;
    (void)snprintf(host, HOST_BYTES, "%.*s", (int)(bracketed ? len - 2 : len),
                   bracketed ? h + 1 : h);
    (void)snprintf(port, 8, "%s", p);
    ok = true;
done:
    curl_free(scheme);
    curl_free(h);
    curl_free(p);
    curl_free(user);
    curl_url_cleanup(u);
    return ok;
}

static bool is_allowed(const struct node_http_calls *calls, const char *host, const char *port)
{
    char both[HOST_BYTES + 12], bracketed[HOST_BYTES + 12];
    (void)snprintf(both, sizeof both, "%s:%s", host, port);
    (void)snprintf(bracketed, sizeof bracketed, "[%s]:%s", host, port);
    for (size_t i = 0; i < calls->allow_count; i++)
        if (strcasecmp(calls->allow[i], host) == 0 || strcasecmp(calls->allow[i], both) == 0 ||
            strcasecmp(calls->allow[i], bracketed) == 0)
            return true;
    return false;
}

bool node_http_allowed(const struct node_http_calls *calls, const char *url)
{
    char host[HOST_BYTES], port[8];
    return host_of(url, host, port) && is_allowed(calls, host, port);
}

/* Addresses that a name from outside must not lead to: this machine itself, and its link. */
static bool is_inner(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strncmp(address, "0.", 2) == 0 ||
           strncmp(address, "169.254.", 8) == 0 || strcmp(address, "::1") == 0 ||
           strcmp(address, "::") == 0 || strncasecmp(address, "fe8", 3) == 0 ||
           strncasecmp(address, "fe9", 3) == 0 || strncasecmp(address, "fea", 3) == 0 ||
           strncasecmp(address, "feb", 3) == 0 || strncasecmp(address, "::ffff:", 7) == 0;
}

static urd_err answer(enum saga_answer_kind kind, uint64_t after_ns, const char *text,
                      struct saga_answer *ret)
{
    *ret = (struct saga_answer){ .kind = kind,
                                 .after_ns = after_ns,
                                 .text = text != NULL ? strdup(text) : NULL };
    return URD_OK;
}

/* Resolve the URL's host once and pin the call to that address, so that what was checked is what is
 * called. */
static urd_err pin_address(const struct node_http_calls *calls, struct urd_cx *cx, const char *host,
                           const char *port, struct curl_slist **ret)
{
    struct urd_address address;
    char text[URD_ADDRESS_TEXT_MAX], host_port[HOST_BYTES + 16],
        entry[HOST_BYTES + URD_ADDRESS_TEXT_MAX + 16];
    (void)snprintf(host_port, sizeof host_port, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s",
                   host, port);
    urd_err err = urd_resolve(cx, host_port, &address);
    if (err != URD_OK) return err;
    urd_address_format(&address, text);
    char *colon = strrchr(text, ':');
    *colon = '\0';
    char *bare = text[0] == '[' ? text + 1 : text;
    bare[strcspn(bare, "]")] = '\0';
    if (is_inner(bare) && strcasecmp(bare, host) != 0 && !is_allowed(calls, bare, port))
        return URD_E_DENIED;
    (void)snprintf(entry, sizeof entry, "%s:%s:%s", host, port, bare);
    *ret = curl_slist_append(NULL, entry);
    return *ret != NULL ? URD_OK : URD_E_NOMEM;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)easy;
    (void)socket_arg;
    struct call *c = arg;
    unsigned events = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) events |= URD_FD_READ;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) events |= URD_FD_WRITE;
    return urd_fdset_set(c->fds, fd, events) == URD_OK ? 0 : -1;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct call *c = arg;
    c->wake_ns = timeout_ms < 0 ? URD_FOREVER : urd_cx_now(c->cx) + (uint64_t)timeout_ms * 1000000;
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct call *c = arg;
    if (c->body.len + size * count > NODE_HTTP_BODY_BYTES_MAX) {
        c->too_big = true;
        return 0;
    }
    return urd_buffer_append(&c->body, bytes, size * count) == URD_OK ? size * count : 0;
}

static bool add_header(struct call *c, const char *name, const char *value)
{
    char line[512];
    if (value == NULL || strpbrk(value, "\r\n") != NULL) return value == NULL;
    if (snprintf(line, sizeof line, "%s: %s", name, value) >= (int)sizeof line) return false;
    struct curl_slist *headers = curl_slist_append(c->headers, line);
    if (headers != NULL) c->headers = headers;
    return headers != NULL;
}

static bool add_headers(struct call *c, const struct saga_dispatch *d)
{
    char epoch[32];
    (void)snprintf(epoch, sizeof epoch, "%" PRIu64, d->epoch);
    return add_header(c, "Content-Type", "application/json") &&
           add_header(c, "Idempotency-Key", d->effect_key) && add_header(c, "Urd-Saga", d->saga) &&
           add_header(c, "Urd-Step", d->step) &&
           add_header(c, "Urd-Direction", d->direction == SAGA_DO ? "do" : "undo") &&
           add_header(c, "Urd-Epoch", epoch) && add_header(c, "Urd-Do-Key", d->do_effect_key);
}

static void set_options(struct node_http_calls *calls, struct call *c,
                        const struct saga_dispatch *d, uint64_t run_ns)
{
    (void)curl_easy_setopt(c->easy, CURLOPT_URL, d->action);
    (void)curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c->easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c->easy, CURLOPT_RESOLVE, c->resolve);
    (void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
    (void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, d->input);
    (void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(d->input));
    (void)curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
    (void)curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(CONNECT_NS / 1000000));
    (void)curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)(run_ns / 1000000));
    (void)curl_easy_setopt(c->easy, CURLOPT_USERAGENT, "urd/" URD_VERSION);
    (void)curl_easy_setopt(c->easy, CURLOPT_SHARE, calls->share);
    (void)curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    (void)curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
}

/* Give libcurl its events until the transfer is over.  URD_OK: *@ret is how it ended. */
static urd_err drive(struct urd_cx *cx, struct call *c, CURLcode *ret)
{
    int running = 1, left;
    if (curl_multi_add_handle(c->multi, c->easy) != CURLM_OK) return URD_E_NOMEM;
    (void)curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    while (running > 0) {
        struct urd_fdset_ready ready[READY_MAX];
        uint32_t count = 0;
        urd_err err = urd_fdset_wait(cx, c->fds, c->wake_ns, ready, READY_MAX, &count);
        if (err == URD_E_TIMEOUT && urd_cx_now(cx) >= c->wake_ns) {
            c->wake_ns = URD_FOREVER;
            (void)curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        } else if (err != URD_OK) {
            return err;
        }
        for (uint32_t i = 0; i < count; i++) {
            int mask = ((ready[i].events & URD_FD_READ) != 0 ? CURL_CSELECT_IN : 0) |
                       ((ready[i].events & URD_FD_WRITE) != 0 ? CURL_CSELECT_OUT : 0);
            (void)curl_multi_socket_action(c->multi, ready[i].fd, mask, &running);
        }
    }
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left)) != NULL;)
        if (m->msg == CURLMSG_DONE) *ret = m->data.result;
    return URD_OK;
}

/* The body as a result: JSON as it is, other text as a JSON string, nothing as null.  JSON too deep
 * to be read is no result: later steps could not use it. */
static urd_err done(const struct call *c, struct saga_answer *ret)
{
    const char *body = (const char *)c->body.bytes;
    if (c->body.len == 0) return answer(SAGA_DONE, 0, NULL, ret);
    json_t *json;
    char why[128];
    urd_err err =
        saga_json_decode(body, c->body.len, SAGA_RESULT_BYTES_MAX, &json, why, sizeof why);
    if (err == URD_E_TOO_BIG) return answer(SAGA_UNKNOWN, 0, why, ret);
    if (err == URD_E_NOMEM) return err;
    if (err != URD_OK) json = json_stringn(body, c->body.len);
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(json);
    if (text == NULL)
        return answer(SAGA_UNKNOWN, 0, "its result is neither JSON nor UTF-8 text", ret);
    *ret = (struct saga_answer){ .kind = SAGA_DONE, .text = text };
    return URD_OK;
}

/* What a finished call says. */
static urd_err judge(struct call *c, CURLcode code, struct saga_answer *ret)
{
    long status = 0;
    curl_off_t after_s = 0;
    char text[128];
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
        return answer(SAGA_RETRY, 0, curl_easy_strerror(code), ret);
    if (c->too_big) return answer(SAGA_UNKNOWN, 0, "its result is larger than the limit", ret);
    if (code != CURLE_OK) return answer(SAGA_UNKNOWN, 0, curl_easy_strerror(code), ret);

    (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &after_s);
    (void)snprintf(text, sizeof text, "HTTP %ld", status);
    if (status == 202) return answer(SAGA_LATER, 0, NULL, ret);
    if (status >= 200 && status < 300) return done(c, ret);
    if (status == 408 || status == 425 || status == 429 || status == 503)
        return answer(SAGA_RETRY, (uint64_t)after_s * 1000000000, text, ret);
    return answer(status >= 400 && status < 500 ? SAGA_FAIL : SAGA_UNKNOWN, 0, text, ret);
}

static void call_done(struct call *c)
{
    if (c->multi != NULL && c->easy != NULL) (void)curl_multi_remove_handle(c->multi, c->easy);
    if (c->easy != NULL) curl_easy_cleanup(c->easy);
    if (c->multi != NULL) (void)curl_multi_cleanup(c->multi);
    curl_slist_free_all(c->headers);
    curl_slist_free_all(c->resolve);
    urd_fdset_close(c->fds);
    urd_buffer_done(&c->body);
}

urd_err node_http_call(struct node_http_calls *calls, struct urd_cx *cx, struct saga_dispatch *d,
                       struct saga_answer *ret)
{
    char host[HOST_BYTES], port[8];
    struct call c = { .cx = cx, .wake_ns = URD_FOREVER };
    CURLcode code = CURLE_OK;
    if (!host_of(d->action, host, port) || !is_allowed(calls, host, port))
        return answer(SAGA_FAIL, 0, "its host is not in http.allow", ret);
    urd_err err = pin_address(calls, cx, host, port, &c.resolve);
    if (err == URD_E_DENIED) return answer(SAGA_FAIL, 0, "its host leads to an inner address", ret);
    if (err == URD_E_UNREACHABLE || err == URD_E_INVALID)
        return answer(SAGA_RETRY, 0, "its host does not resolve", ret);
    if (err != URD_OK) return err;

    uint64_t run_ns = d->run_timeout_ns != 0 && d->run_timeout_ns != URD_FOREVER ? d->run_timeout_ns
                                                                                 : RUN_DEFAULT_NS;
    c.multi = curl_multi_init();
    c.easy = curl_easy_init();
    err = urd_fdset_open(cx, &c.fds);
    if (err == URD_OK && (c.multi == NULL || c.easy == NULL || !add_headers(&c, d)))
        err = URD_E_NOMEM;
    if (err == URD_OK) err = saga_dispatch_take(cx, d, NULL);
    if (err != URD_OK) {
        call_done(&c);
        if (err == URD_E_CANCELLED || err == URD_E_REVOKED)
            return answer(SAGA_NOT_TAKEN, 0, urd_err_text(err), ret);
        return err;
    }
    set_options(calls, &c, d, run_ns);
    err = drive(cx, &c, &code);
    if (err == URD_OK) err = judge(&c, code, ret);
    call_done(&c);
    return err;
}
