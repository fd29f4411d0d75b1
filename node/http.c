/* The view: /health and /metrics over HTTP/1.1, on the loopback.  Counters only: never inputs,
 * results, paths or tokens.  One request a connection. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"
#include "runtime/net.h"
#include "runtime/runtime.h"

#define REQUEST_BYTES_MAX 4096u
#define REQUEST_TIME_NS   UINT64_C(5000000000)
#define CONNECTIONS_MAX   32u

struct connection {
    struct node *node;
    struct urd_tcp *tcp;
    struct urd_semaphore *room;
};

static void line(FILE *out, const char *name, uint64_t value)
{
    (void)fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void print_line(void *out, const char *text)
{
    (void)fprintf(out, "%s\n", text);
}

static void print_metrics(struct urd_cx *cx, struct node *node, FILE *out)
{
    struct urd_runtime_stats runtime;
    struct storage_info info;
    struct storage_committer_stats commits;
    urd_runtime_stats(cx, &runtime);
    storage_info(node->store, &info);
    storage_committer_stats(node->committer, &commits);
    line(out, "urd_uptime_seconds", (urd_cx_now(cx) - node->started_ns) / (uint64_t)NODE_NS_PER_S);
    line(out, "urd_requests_total", node->requests);
    line(out, "urd_requests_refused_total", node->refused);
    line(out, "urd_requests_failed_total", node->failed);
    for (unsigned i = 0; node_rpc_row(i) != NULL; i++)
        if (node->requests_by_row[i] > 0)
            (void)fprintf(out, "urd_rpc_total{rpc=\"%s\"} %" PRIu64 "\n", node_rpc_row(i)->name,
                          node->requests_by_row[i]);
    uint64_t connected = 0;
    struct node_member member;
    for (unsigned i = 0; node_member_at(cx, node, i, &member); i++)
        connected += member.connected;
    line(out, "urd_members", node->member_count);
    line(out, "urd_members_connected", connected);
    line(out, "urd_revoked", urd_caps_revoked_count(node->revoked));
    line(out, "urd_store_used_bytes", info.used_bytes);
    line(out, "urd_store_capacity_bytes", info.capacity_bytes);
    line(out, "urd_store_full", info.full);
    line(out, "urd_commits_total", info.commits);
    line(out, "urd_commit_operations_total", commits.ops);
    line(out, "urd_commit_waiting", commits.waiting);
    line(out, "urd_commit_max_ns", commits.commit_max_ns);
    line(out, "urd_tasks", runtime.tasks_live);
    line(out, "urd_regions", runtime.regions_open);
    line(out, "urd_obligations", runtime.obligations_open);
    line(out, "urd_potential", runtime.potential);
    line(out, "urd_cleanup_overruns_total", runtime.cleanup_overruns);
    for (uint32_t i = 0; i < node->service_count; i++)
        if (node->services[i].service->metrics != NULL)
            node->services[i].service->metrics(cx, node->services[i].state, print_line, out);
}

/* What @request asks for, as a whole answer for free(); NULL: out of memory. */
static char *answer(struct urd_cx *cx, struct node *node, const char *request, size_t *ret_len)
{
    char *body = NULL, *whole = NULL;
    size_t body_len = 0;
    const char *status = "200 OK";
    FILE *out = open_memstream(&body, &body_len);
    if (out == NULL) return NULL;
    bool get = strncmp(request, "GET ", 4) == 0;
    const char *path = request + 4;
    size_t path_len = get ? strcspn(path, " ?\r\n") : 0;
    if (!get) {
        status = "405 Method Not Allowed";
    } else if (path_len == 7 && memcmp(path, "/health", 7) == 0) {
        bool well = !node->draining && node->halted == URD_OK;
        if (!well) status = "503 Service Unavailable";
        (void)fprintf(out, "%s\n", well ? "ok" : "stopping");
    } else if (path_len == 8 && memcmp(path, "/metrics", 8) == 0) {
        print_metrics(cx, node, out);
    } else {
        status = "404 Not Found";
    }
    if (fclose(out) != 0) {
        free(body);
        return NULL;
    }
    int len = asprintf(&whole,
                       "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "
                       "%zu\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n\r\n%s",
                       status, body_len, body);
    free(body);
    if (len < 0) return NULL;
    *ret_len = (size_t)len;
    return whole;
}

static urd_err serve(struct urd_cx *cx, void *arg)
{
    struct connection *c = arg;
    char request[REQUEST_BYTES_MAX + 1] = "";
    size_t have = 0;
    uint64_t deadline = urd_cx_now(cx) + REQUEST_TIME_NS;
    urd_err err = URD_OK;
    while (err == URD_OK && have < REQUEST_BYTES_MAX && strstr(request, "\r\n\r\n") == NULL) {
        size_t got;
        err = urd_tcp_read(cx, c->tcp, request + have, REQUEST_BYTES_MAX - have, deadline, &got);
        if (err != URD_OK || got == 0) break;
        have += got;
        request[have] = 0;
    }
    if (err == URD_OK && strstr(request, "\r\n\r\n") != NULL) {
        size_t len = 0;
        char *whole = answer(cx, c->node, request, &len);
        if (whole != NULL) err = urd_tcp_write(cx, c->tcp, whole, len, deadline);
        free(whole);
    }
    urd_tcp_close(c->tcp);
    urd_semaphore_release(c->room, 1);
    free(c);
    return err == URD_E_CANCELLED ? err : URD_OK; /* a client that left is no error of ours */
}

static urd_err accept_one(struct urd_cx *cx, struct node_http *http, struct urd_semaphore *room,
                          struct urd_scope *scope)
{
    static const struct urd_spawn_options options = { .name = "http" };
    urd_err err = urd_semaphore_acquire(cx, room, 1, URD_FOREVER);
    if (err != URD_OK) return err;
    struct connection *c = calloc(1, sizeof *c);
    err = c == NULL ? URD_E_NOMEM : urd_tcp_accept(cx, http->listener, &c->tcp);
    if (err == URD_OK) {
        c->node = http->node;
        c->room = room;
        err = urd_spawn(cx, scope, &options, serve, c);
        if (err == URD_OK) return URD_OK;
        urd_tcp_close(c->tcp);
    }
    free(c);
    urd_semaphore_release(room, 1);
    return err;
}

urd_err node_http_run(struct urd_cx *cx, void *arg)
{
    struct node_http *http = arg;
    struct urd_semaphore room = URD_SEMAPHORE_INIT(CONNECTIONS_MAX);
    const struct urd_region_options options = { .name = "http", .policy = URD_REGION_COLLECT };
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) return URD_E_NOMEM;
    urd_err err = URD_OK;
    while (err == URD_OK) {
        err = accept_one(cx, http, &room, urd_region_scope(r));
        if (err != URD_OK && err != URD_E_CANCELLED && err != URD_E_CLOSED)
            err = urd_sleep(cx, 100 * NODE_NS_PER_MS); /* out of descriptors: it passes */
    }
    urd_region_close(cx, r, NULL);
    return err;
}
