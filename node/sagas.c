/* The saga service's life, and how the engine reaches participants: a URL goes to http_call, the
 * rest to workers. */
#include "node/sagas.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/http_call.h"
#include "node/sagas_internal.h"
#include "saga/builtin.h"

static bool is_url(const char *action)
{
    return action != NULL &&
           (strncmp(action, "http://", 7) == 0 || strncmp(action, "https://", 8) == 0);
}

static bool participant_offer(void *impl, const char *action, char *ret_store)
{
    struct node_sagas *s = impl;
    if (action == NULL || is_url(action)) return false;
    return node_dispatch_offer(s->dispatch, s->now_ns, action, ret_store);
}

static urd_err participant_dispatch(void *impl, struct urd_cx *cx, struct saga_dispatch *d,
                                    struct saga_answer *ret)
{
    struct node_sagas *s = impl;
    assert(d->action != NULL);
    if (is_url(d->action)) return node_http_call(s->http, cx, d, ret);
    return node_dispatch_run(s->dispatch, cx, d, ret);
}

static void participant_withdraw(void *impl, struct saga_dispatch *d)
{
    struct node_sagas *s = impl;
    if (!is_url(d->action)) node_dispatch_withdraw(s->dispatch, d);
}

static const struct saga_participant_ops participant_ops = { .offer = participant_offer,
                                                             .dispatch = participant_dispatch,
                                                             .withdraw = participant_withdraw };

struct node_dispatch *node_sagas_dispatch(void *sagas)
{
    return ((struct node_sagas *)sagas)->dispatch;
}

struct saga_engine *node_sagas_engine(void *sagas)
{
    return ((struct node_sagas *)sagas)->engine;
}

/* The engine's task; when it cannot go on, neither can the node. */
static urd_err run_engine(struct urd_cx *cx, void *arg)
{
    struct node_sagas *s = arg;
    urd_err err = saga_engine_run(cx, s->engine);
    if (err != URD_OK && err != URD_E_CANCELLED)
        node_halt(s->node, err, "the saga engine cannot go on");
    urd_event_set(&s->ended);
    return URD_OK;
}

/* Keeps a clock for offers, which have no cx. */
static urd_err run_clock(struct urd_cx *cx, void *arg)
{
    struct node_sagas *s = arg;
    for (;;) {
        s->now_ns = urd_cx_now(cx);
        urd_err err = urd_sleep(cx, UINT64_C(500000000));
        if (err != URD_OK) return err;
    }
}

static urd_err open_http(struct node_sagas *s, const struct node_config *config)
{
    const char *allow[NODE_CONFIG_HOSTS_MAX];
    for (uint32_t i = 0; i < config->http_allow_count; i++)
        allow[i] = config->http_allow[i];
    return node_http_calls_new(allow, config->http_allow_count, &s->http);
}

/* The quantities of urd.conf, as they now are. */
static urd_err define_quantities(struct urd_cx *cx, struct node *node, char *errmsg,
                                 size_t errmsg_len)
{
    const struct node_config *config = node_configuration(node);
    for (uint32_t i = 0; i < config->quantity_count; i++) {
        const struct node_config_quantity *q = &config->quantities[i];
        urd_err err = saga_builtin_define_quantity(cx, node_committer(node), q->name, q->amount);
        if (err == URD_OK) continue;
        (void)snprintf(errmsg, errmsg_len, "[quantities] %s: %s", q->name,
                       err == URD_E_STATE ? "more of it is held and consumed already"
                                          : urd_err_text(err));
        return err;
    }
    return URD_OK;
}

static void sagas_close(struct urd_cx *cx, void *service)
{
    (void)cx;
    struct node_sagas *s = service;
    saga_engine_free(s->engine);
    node_dispatch_free(s->dispatch);
    node_http_calls_free(s->http);
    free(s);
}

static urd_err sagas_open(struct urd_cx *cx, struct node *node, struct urd_scope *scope, void **ret,
                          char *errmsg, size_t errmsg_len)
{
    const struct node_config *config = node_configuration(node);
    const struct urd_spawn_options engine_task = { .name = "engine" },
                                   clock_task = { .name = "engine clock" };
    struct node_sagas *s = calloc(1, sizeof *s);
    if (s == NULL) return URD_E_NOMEM;
    s->node = node;
    s->ended = URD_EVENT_INIT;
    s->now_ns = urd_cx_now(cx);
    struct saga_engine_options options = { .store = node_store(node),
                                           .committer = node_committer(node),
                                           .participant = &participant_ops,
                                           .participant_impl = s,
                                           .sagas_max = (uint32_t)config->saga_inflight,
                                           .drain_ns = config->drain_ns,
                                           .paused = node_is_restored(node) };
    urd_err err = open_http(s, config);
    if (err == URD_OK) err = node_dispatch_new(&s->dispatch);
    if (err == URD_OK) err = saga_engine_new(&options, &s->engine);
    if (err == URD_OK) err = urd_spawn(cx, scope, &clock_task, run_clock, s);
    if (err != URD_OK) {
        sagas_close(cx, s);
        return err;
    }
    *ret = s; /* from here on tasks refer to it: close() comes when they have ended */
    err = urd_spawn(cx, scope, &engine_task, run_engine, s);
    if (err == URD_OK) err = saga_engine_ready(cx, s->engine);
    if (err == URD_OK) {
        err = define_quantities(cx, node, errmsg, errmsg_len);
        if (err != URD_OK) return err;
    }
    if (err != URD_OK)
        (void)snprintf(errmsg, errmsg_len, "the saga engine does not start: %s", urd_err_text(err));
    return err;
}

static void sagas_drain(struct urd_cx *cx, void *service)
{
    struct node_sagas *s = service;
    saga_engine_close(s->engine);
    (void)!urd_event_wait(cx, &s->ended, URD_FOREVER);
}

static bool is_dead(void *arg, const struct urd_caps_grant *grant)
{
    const struct node_sagas *s = arg;
    return node_grant_dead(s->node, grant, 0);
}

static void sagas_revoked(struct urd_cx *cx, void *service)
{
    struct node_sagas *s = service;
    urd_err err = saga_engine_revoked(cx, s->engine, is_dead, s);
    if (err != URD_OK) node_log(s->node, "sagas under revoked capabilities: %s", urd_err_text(err));
}

static void sagas_status(struct urd_cx *cx, void *service, json_t *status)
{
    struct node_sagas *s = service;
    struct saga_engine_stats stats;
    struct node_dispatch_stats steps;
    json_t *states = json_object();
    saga_engine_stats(s->engine, &stats);
    node_dispatch_stats(s->dispatch, urd_cx_now(cx), &steps);
    for (unsigned i = 0; i < SAGA_STATES; i++)
        (void)json_object_set_new(states, saga_state_name((enum saga_state)i),
                                  json_integer(stats.by_state[i]));
    json_t *sagas = json_pack("{sisOsIsIsIsisisisisI}", "open", (int)stats.open, "by_state", states,
                              "accepted", (json_int_t)stats.accepted, "committed",
                              (json_int_t)stats.committed, "compensated",
                              (json_int_t)stats.compensated, "quarantined", (int)stats.quarantined,
                              "workers", (int)steps.workers, "steps_waiting", (int)steps.waiting,
                              "steps_running", (int)steps.sent, "epoch", (json_int_t)stats.epoch);
    json_decref(states);
    (void)json_object_set_new(status, "sagas", sagas);
}

static void sagas_metrics(struct urd_cx *cx, void *service,
                          void (*print)(void *arg, const char *line), void *arg)
{
    (void)cx;
    struct node_sagas *s = service;
    struct saga_engine_stats stats;
    char line[128];
    saga_engine_stats(s->engine, &stats);
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = { { "urd_sagas_open", stats.open },
                     { "urd_sagas_accepted_total", stats.accepted },
                     { "urd_sagas_committed_total", stats.committed },
                     { "urd_sagas_compensated_total", stats.compensated },
                     { "urd_sagas_quarantined", stats.quarantined },
                     { "urd_steps_in_flight", stats.dispatches } };
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        (void)snprintf(line, sizeof line, "%s %llu", counters[i].name,
                       (unsigned long long)counters[i].value);
        print(arg, line);
    }
}

const struct node_service node_sagas_service = { .name = NODE_SAGAS_SERVICE,
                                                 .handlers = node_sagas_handlers,
                                                 .open = sagas_open,
                                                 .drain = sagas_drain,
                                                 .close = sagas_close,
                                                 .revoked = sagas_revoked,
                                                 .status = sagas_status,
                                                 .metrics = sagas_metrics };

void node_sagas_home(struct urd_cx *cx, const struct node *node, const char *name, const char *key,
                     char *ret)
{
    static const uint8_t hash_key[crypto_shorthash_KEYBYTES] = "urd saga key";
    struct node_member member;
    uint64_t greatest = 0;
    (void)snprintf(ret, NODE_NAME_BYTES_MAX + 1, "%s", node_name(node));
    for (unsigned i = 0; node_member_at(cx, node, i, &member); i++) {
        char text[NODE_NAME_BYTES_MAX + SAGA_NAME_BYTES_MAX + SAGA_KEY_BYTES_MAX + 4];
        uint64_t weight;
        if (member.expelled) continue;
        int len = snprintf(text, sizeof text, "%s/%s/%s", member.name, name, key);
        (void)crypto_shorthash((uint8_t *)&weight, (const uint8_t *)text, (size_t)len, hash_key);
        if (weight < greatest) continue;
        greatest = weight;
        (void)snprintf(ret, NODE_NAME_BYTES_MAX + 1, "%s", member.name);
    }
}
