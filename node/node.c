/* A node from its directory to its end.  What is opened last is closed first:
 *
 *     directory -> store -> committer's region -> region of heavy work -> the node's region
 * (pinned)
 *     -> root keys, members -> services -> listeners -> ready ... stop -> drain -> all of it back
 */
#include "node/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/files.h"
#include "node/identity.h"
#include "node/node_internal.h"
#include "node/run.h"
#include "node/sagas.h"
#include "node/uses_internal.h"
#include "node/workers.h"
#include "runtime/blocking.h"
#include "runtime/net.h"
#include "runtime/process.h"
#include "storage/kv_lmdb.h"

#define RENEW_LOOK_NS   UINT64_C(3600000000000)
#define CLOCKS_DIFFER_S 3600

/* Opened in this order, drained and closed in the opposite one. */
static const struct node_service *const services[] = { &node_files_service, &node_sagas_service,
                                                       &node_workers_service };

static const struct node_handler *const handlers[] = { node_cap_handlers, node_admin_handlers,
                                                       node_peer_handlers, node_join_handlers };

/* ---- what parts and services see ---- */

const char *node_name(const struct node *node)
{
    return node->config->name;
}
const struct node_config *node_configuration(const struct node *node)
{
    return node->config;
}
struct storage *node_store(const struct node *node)
{
    return node->store;
}
struct storage_committer *node_committer(const struct node *node)
{
    return node->committer;
}
struct urd_dir *node_root(const struct node *node)
{
    return node->dir->root;
}
struct urd_dir *node_partial(const struct node *node)
{
    return node->dir->partial;
}
struct urd_scope *node_scope(const struct node *node)
{
    return node->scope;
}
struct urd_scope *node_free_scope(const struct node *node)
{
    return node->free_scope;
}

bool node_is_restored(const struct node *node)
{
    return node->restored;
}

void *node_service_state(const struct node *node, const char *name)
{
    for (uint32_t i = 0; i < node->service_count; i++)
        if (strcmp(node->services[i].service->name, name) == 0) return node->services[i].state;
    return NULL;
}

void node_log(const struct node *node, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    node_text_clean(text, sizeof text - 1);
    (void)fprintf(stderr, "urd node %s: %s\n", node_name(node), text);
}

void node_halt(struct node *node, urd_err why, const char *sentence)
{
    if (node->halted != URD_OK) return;
    node->halted = why;
    (void)snprintf(node->halt_errmsg, sizeof node->halt_errmsg, "%s: %s", sentence,
                   urd_err_text(why));
    urd_event_set(&node->stop);
}

int64_t node_wall_ns(struct urd_cx *cx)
{
    int64_t now = 0;
    return urd_cx_wall(cx, &now) == URD_OK ? now : 0;
}

int64_t node_wall_s(struct urd_cx *cx)
{
    return node_wall_ns(cx) / NODE_NS_PER_S;
}

static const struct node_handler *find_in(const struct node_handler *list,
                                          Urd__V1__Request__BodyCase body)
{
    for (; list != NULL && list->body != URD__V1__REQUEST__BODY__NOT_SET; list++)
        if (list->body == body) return list;
    return NULL;
}

const struct node_handler *node_handler_find(const struct node *node,
                                             Urd__V1__Request__BodyCase body, void **ret_service)
{
    *ret_service = NULL;
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        const struct node_handler *handler = find_in(handlers[i], body);
        if (handler != NULL) return handler;
    }
    for (uint32_t i = 0; i < node->service_count; i++) {
        const struct node_handler *handler = find_in(node->services[i].service->handlers, body);
        if (handler == NULL) continue;
        *ret_service = node->services[i].state;
        return handler;
    }
    return NULL;
}

/* ---- tasks of the node itself ---- */

static urd_err watch_signals(struct urd_cx *cx, void *arg)
{
    struct node *node = arg;
    int number;
    urd_err err = urd_signal_wait(cx, URD_FOREVER, &number);
    if (err != URD_OK) return err;
    node_log(node, "stopping on signal %d", number);
    urd_event_set(&node->stop);
    return URD_OK;
}

struct following {
    struct node *node;
    struct urd_event *stop;
};

static urd_err follow_stop(struct urd_cx *cx, void *arg)
{
    struct following *following = arg;
    urd_err err = urd_event_wait(cx, following->stop, URD_FOREVER);
    if (err == URD_OK) urd_event_set(&following->node->stop);
    return err;
}

/* Tell services that capabilities were revoked, once for as many as came together. */
static urd_err watch_revoked(struct urd_cx *cx, void *arg)
{
    struct node *node = arg;
    for (;;) {
        while (!node->revoked_grew) {
            urd_err err = urd_notify_wait(cx, &node->revoked_changed, URD_FOREVER);
            if (err != URD_OK) return err;
        }
        node->revoked_grew = false;
        for (uint32_t i = 0; i < node->service_count; i++)
            if (node->services[i].service->revoked != NULL)
                node->services[i].service->revoked(cx, node->services[i].state);
    }
}

/* Keep the certificate young, and the revoked set free of what has expired anyway. */
static urd_err look_after(struct urd_cx *cx, void *arg)
{
    struct node *node = arg;
    const int64_t renew_s = (int64_t)(NODE_CERT_DAYS - NODE_CERT_RENEW_DAYS) * 86400;
    for (;;) {
        int64_t now_s = node_wall_s(cx);
        if (!node->config->rpc_plain && node->cert_not_after_s - now_s < renew_s) {
            urd_err err = node_join_renew(cx, node);
            if (err == URD_E_CANCELLED) return err;
            node_log(node, "certificate %s",
                     err == URD_OK ? "renewed" : "could not be renewed; trying again");
        }
        urd_caps_revoked_expire(node->revoked, now_s - CLOCKS_DIFFER_S);
        urd_err err = node_facts_sweep(cx, node, now_s - CLOCKS_DIFFER_S);
        if (err != URD_E_CANCELLED) err = urd_sleep(cx, RENEW_LOOK_NS); /* else: next time */
        if (err != URD_OK) return err;
    }
}

static urd_err serve(struct urd_cx *cx, void *arg)
{
    struct node *node = arg;
    urd_err err =
        urd_rpc_serve(cx, node->server, node->config->rpc_inflight, node_rpc_answer, node);
    if (err != URD_OK && err != URD_E_CANCELLED) node_halt(node, err, "requests cannot be served");
    return err;
}

/* ---- opening ---- */

struct opening {
    struct node *node;
    const struct node_run_options *options;
    struct node_http http;
    struct following following;
    char *errmsg;
    size_t errmsg_len;
};

static urd_err listen_rpc(struct urd_cx *cx, struct opening *o)
{
    struct node *node = o->node;
    char url[NODE_ADDRESS_BYTES_MAX + 16];
    (void)snprintf(url, sizeof url, "%s%s", node->config->rpc_plain ? "tcp://" : "tls+tcp://",
                   node->config->rpc_listen);
    const struct urd_rpc_endpoint endpoint = { .url = url,
                                               .ca_pem = node->dir->ca_pem,
                                               .cert_pem = node->dir->cert_pem,
                                               .key_pem = node->dir->key_pem };
    uint16_t port;
    urd_err err = urd_rpc_listen(cx, &endpoint, &port, &node->server);
    if (err == URD_E_BUSY)
        node_say(o->errmsg, o->errmsg_len, "rpc.listen = %s is in use by another process",
                 node->config->rpc_listen);
    else if (err != URD_OK)
        node_say(o->errmsg, o->errmsg_len, "rpc.listen = %s: %s", node->config->rpc_listen,
                 urd_err_text(err));
    if (err != URD_OK) return err;
    return node_address_set_port(node->config->rpc_listen, sizeof node->config->rpc_listen, port);
}

static urd_err listen_http(struct urd_cx *cx, struct opening *o)
{
    struct node_config *config = o->node->config;
    struct urd_address address;
    if (config->http_listen[0] == 0) return URD_OK;
    urd_err err = urd_resolve(cx, config->http_listen, &address);
    if (err == URD_OK) err = urd_tcp_listen(cx, &address, &o->http.listener);
    if (err != URD_OK) {
        node_say(o->errmsg, o->errmsg_len, "http.listen = %s %s", config->http_listen,
                 err == URD_E_BUSY ? "is in use by another process" : urd_err_text(err));
        return err;
    }
    urd_tcp_listener_local(o->http.listener, &address);
    return node_address_set_port(config->http_listen, sizeof config->http_listen,
                                 urd_address_port(&address));
}

/* The node's own keys and capability. */
static urd_err settle_in(struct urd_cx *cx, struct opening *o)
{
    struct node *node = o->node;
    static const char *const purposes[] = { NODE_PURPOSE_CLIENT, NODE_PURPOSE_PEER };
    urd_err err = URD_OK;
    for (size_t i = 0; i < 2 && err == URD_OK; i++)
        if (node_keys_current(&node->keys, node_name(node), purposes[i]) == NULL)
            err = node_keys_make(cx, node, purposes[i], NULL);
    if (err == URD_OK) err = node_join_own_cap(cx, node);
    if (err == URD_OK) err = node_uses_open(cx, node, node->restored);
    if (err != URD_OK)
        node_say(o->errmsg, o->errmsg_len, "the node's own keys: %s", urd_err_text(err));
    return err;
}

static urd_err open_services(struct urd_cx *cx, struct opening *o)
{
    struct node *node = o->node;
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        void *state = NULL;
        urd_err err = services[i]->open(cx, node, node->scope, &state, o->errmsg, o->errmsg_len);
        /* One that failed half way has tasks: it is closed with the others, after them. */
        if (state != NULL)
            node->services[node->service_count++] = (struct node_running){ services[i], state };
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static urd_err look_restored(struct urd_cx *cx, struct node *node)
{
    struct urd_file_info info;
    urd_err err = urd_file_stat(cx, node->dir->dir, NODE_RESTORED_MARK, &info);
    node->restored = err == URD_OK;
    return err == URD_E_NOT_FOUND ? URD_OK : err;
}

/* The services have opened, durably: the next start is an ordinary one. */
static urd_err forget_restored(struct urd_cx *cx, struct opening *o)
{
    if (!o->node->restored) return URD_OK;
    node_log(o->node, "the store was put back from a backup: sagas are paused until resumed");
    return urd_file_unlink(cx, o->node->dir->dir, NODE_RESTORED_MARK);
}

static urd_err spawn_tasks(struct urd_cx *cx, struct opening *o)
{
    struct node *node = o->node;
    static const struct urd_spawn_options large = { .name = "node", .stack = URD_STACK_LARGE };
    urd_err err = urd_spawn(cx, node->scope, &large, node_peers_run, node);
    if (err == URD_OK) err = urd_spawn(cx, node->scope, &large, watch_revoked, node);
    if (err == URD_OK) err = urd_spawn(cx, node->scope, &large, look_after, node);
    if (err == URD_OK && !o->options->no_signals)
        err = urd_spawn(cx, node->scope, NULL, watch_signals, node);
    if (err == URD_OK && o->options->stop != NULL) {
        o->following = (struct following){ node, o->options->stop };
        err = urd_spawn(cx, node->scope, NULL, follow_stop, &o->following);
    }
    if (err == URD_OK && o->http.listener != NULL) {
        o->http.node = node;
        err = urd_spawn(cx, node->scope, NULL, node_http_run, &o->http);
    }
    return err;
}

static void tell_ready(struct urd_cx *cx, const struct opening *o)
{
    const struct node_config *config = o->node->config;
    const struct node_ready ready = { config->name, config->rpc_listen, config->data_listen,
                                      config->http_listen };
    if (o->options->ready != NULL) o->options->ready(cx, o->options->arg, &ready);
}

/* ---- serving and stopping ---- */

static urd_err drain(struct urd_cx *cx, void *arg)
{
    struct node *node = arg;
    for (uint32_t i = node->service_count; i > 0; i--)
        if (node->services[i - 1].service->drain != NULL)
            node->services[i - 1].service->drain(cx, node->services[i - 1].state);
    return URD_OK;
}

/* What runs gets config.drain to end; then it is cancelled. */
static void drain_all(struct urd_cx *cx, struct node *node)
{
    struct urd_spawn_options options = { .name = "drain", .budget = URD_BUDGET_INFINITE };
    options.budget.deadline_ns = urd_cx_now(cx) + node->config->drain_ns;
    urd_err err;
    URD_JOIN(j);
    node->draining = true;
    if (!urd_spawn_join(cx, node->scope, &options, drain, node, j, &err)) return;
    urd_join_wait(cx, j, NULL);
}

static urd_err serve_until_stopped(struct urd_cx *cx, struct opening *o)
{
    struct node *node = o->node;
    static const struct urd_spawn_options options = { .name = "serve", .stack = URD_STACK_LARGE };
    urd_err err;
    URD_JOIN(j);
    if (!urd_spawn_join(cx, node->scope, &options, serve, node, j, &err)) return err;
    tell_ready(cx, o);
    err = urd_event_wait(cx, &node->stop, URD_FOREVER);
    if (err == URD_OK && node->halted == URD_OK) drain_all(cx, node);
    urd_join_cancel(cx, j, NULL);
    return err;
}

static urd_err run_listening(struct urd_cx *cx, struct opening *o)
{
    urd_err err = listen_rpc(cx, o);
    if (err == URD_OK) err = listen_http(cx, o);
    if (err == URD_OK) err = settle_in(cx, o);
    if (err == URD_OK) err = open_services(cx, o);
    if (err == URD_OK) err = node_members_announce(cx, o->node); /* ports are known now */
    if (err == URD_OK) err = forget_restored(cx, o);
    if (err == URD_OK) err = spawn_tasks(cx, o);
    if (err == URD_OK) err = serve_until_stopped(cx, o);
    return err;
}

static void close_listening(struct urd_cx *cx, struct opening *o)
{
    struct node *node = o->node;
    for (uint32_t i = node->service_count; i > 0; i--)
        node->services[i - 1].service->close(cx, node->services[i - 1].state);
    node->service_count = 0;
    urd_rpc_server_close(cx, node->server);
    if (o->http.listener != NULL) urd_tcp_listener_close(o->http.listener);
}

/* The node's own region: all of its memory, on one worker. */
static urd_err run_pinned(struct urd_cx *cx, struct opening *o)
{
    const struct urd_region_options options = { .name = "node",
                                                .policy = URD_REGION_COLLECT,
                                                .pinned = true };
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) return URD_E_NOMEM;
    o->node->scope = urd_region_scope(r);
    urd_err err = run_listening(cx, o);
    urd_region_close(cx, r, NULL);
    close_listening(cx, o);
    return err;
}

static urd_err run_free(struct urd_cx *cx, struct opening *o)
{
    const struct urd_region_options options = { .name = "work", .policy = URD_REGION_COLLECT };
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) return URD_E_NOMEM;
    o->node->free_scope = urd_region_scope(r);
    urd_err err = run_pinned(cx, o);
    urd_region_close(cx, r, NULL);
    return err;
}

static urd_err run_committing(struct urd_cx *cx, struct opening *o)
{
    struct node *node = o->node;
    const struct urd_region_options options = { .name = "commit", .policy = URD_REGION_COLLECT };
    static const struct urd_spawn_options committer = { .name = "committer",
                                                        .stack = URD_STACK_LARGE };
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) return URD_E_NOMEM;
    urd_err err =
        urd_spawn(cx, urd_region_scope(r), &committer, storage_committer_run, node->committer);
    if (err == URD_OK) err = run_free(cx, o);
    storage_committer_close(node->committer);
    urd_region_join(cx, r, NULL);
    return err;
}

/* ---- the store ---- */

struct store_call {
    char path[URD_PATH_MAX];
    struct storage_lmdb_options options;
    struct storage *store;
    char *errmsg;
    size_t errmsg_len;
    urd_err err;
};

static void store_open(void *arg)
{
    struct store_call *call = arg;
    call->err =
        storage_lmdb_open(call->path, &call->options, &call->store, call->errmsg, call->errmsg_len);
}

static void store_close(void *store)
{
    storage_close(store);
}

static void report(void *arg, const char *text)
{
    node_log(arg, "store: %s", text);
}

static urd_err open_store(struct urd_cx *cx, struct opening *o)
{
    struct node *node = o->node;
    struct store_call call = { .options = { .map_bytes = node->config->store_size_bytes,
                                            .reserve_bytes = node->config->store_reserve_bytes,
                                            .report = report,
                                            .report_arg = node },
                               .errmsg = o->errmsg,
                               .errmsg_len = o->errmsg_len };
    node_directory_store_path(node->dir, call.path);
    urd_err err = urd_blocking(cx, store_open, &call);
    if (err == URD_OK) err = call.err;
    if (err == URD_E_BUSY)
        node_say(o->errmsg, o->errmsg_len, "another node runs on %s already", node->dir->path);
    if (err == URD_OK) node->store = call.store;
    return err;
}

static urd_err run_stored(struct urd_cx *cx, struct opening *o)
{
    struct node *node = o->node;
    urd_err err = open_store(cx, o);
    if (err != URD_OK) return err;
    err = node_facts_load(cx, node, o->errmsg, o->errmsg_len);
    if (err == URD_OK) err = storage_committer_new(node->store, NULL, &node->committer);
    if (err == URD_OK) {
        err = run_committing(cx, o);
        storage_committer_free(node->committer);
    }
    URD_MASK(m);
    urd_mask(cx, m);
    if (urd_blocking(cx, store_close, node->store) != URD_OK) storage_close(node->store);
    urd_unmask(cx, m);
    return err;
}

/* ---- the whole ---- */

static urd_err prepare(struct urd_cx *cx, struct opening *o)
{
    struct node *node = o->node;
    uint8_t seed[URD_CAPS_REVOKED_SEED_BYTES];
    urd_err err = urd_caps_init();
    if (err == URD_OK)
        err = node_directory_open(cx, o->options->dir, &node->dir, o->errmsg, o->errmsg_len);
    if (err != URD_OK) return err;
    node->config = &node->dir->config;
    err = look_restored(cx, node);
    if (err != URD_OK) return err;
    node->started_ns = urd_cx_now(cx);
    struct node_key admin = { .local = true };
    memcpy(admin.id, node->dir->admin_key_id, sizeof admin.id);
    (void)snprintf(admin.purpose, sizeof admin.purpose, NODE_PURPOSE_ADMIN);
    (void)snprintf(admin.origin, sizeof admin.origin, "%s", node->config->name);
    err =
        node_keys_add(&node->keys, &admin, node->dir->admin_secret, sizeof node->dir->admin_secret);
    if (err == URD_OK) err = urd_cx_random(cx, seed, sizeof seed);
    if (err == URD_OK)
        err = urd_caps_revoked_new(seed, URD_CAPS_REVOKED_ENTRIES_MAX, &node->revoked);
    if (err != URD_OK) return err;
    return node_identity_check(node->dir->cert_pem, node->dir->key_pem, node->dir->ca_pem,
                               node->config->name, NULL, &node->cert_not_after_s, o->errmsg,
                               o->errmsg_len);
}

static void node_free(struct node *node)
{
    for (uint32_t i = 0; i < node->member_count; i++)
        free(node->members[i]);
    node_keys_done(&node->keys);
    urd_caps_revoked_free(node->revoked);
    node_directory_close(node->dir);
    free(node);
}

urd_err node_run(struct urd_cx *cx, const struct node_run_options *options, char *errmsg,
                 size_t errmsg_len)
{
    struct node *node = calloc(1, sizeof *node);
    if (node == NULL) return URD_E_NOMEM;
    struct opening o = {
        .node = node, .options = options, .errmsg = errmsg, .errmsg_len = errmsg_len
    };
    node->facts_lock = URD_MUTEX_INIT;
    node->members_changed = node->confirmed = node->revoked_changed = URD_NOTIFY_INIT;
    node->stop = URD_EVENT_INIT;
    urd_err err = prepare(cx, &o);
    if (err == URD_OK) err = run_stored(cx, &o);
    if (node->halted != URD_OK) {
        err = node->halted;
        node_say(errmsg, errmsg_len, "%s", node->halt_errmsg);
    }
    node_free(node);
    return err;
}
