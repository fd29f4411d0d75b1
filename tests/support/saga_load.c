/* saga_load INFLIGHT SEED: keeps INFLIGHT sagas of ledger_worker's actions in flight until SIGTERM,
 * half of them failing.
 *
 * Standard output, a line each, flushed: "acked ID EXPECTED" when a submit was acknowledged, "ended
 * ID STATE" when a saga was reported ended, "error CODE TEXT" for an answer that should not be.
 * Unreachable nodes are waited for: a submit is retried under its key, so it never becomes two
 * sagas. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "runtime/process.h"

enum { INFLIGHT_MAX = 4096 };

struct load {
    struct urd_client *client;
    unsigned inflight;
    uint64_t seed;
    bool stopping;
    char why[URD_CLIENT_ERRMSG_MAX];
};

struct slot {
    struct load *load;
    uint64_t random, count;
    unsigned index;
};

static uint64_t draw(struct slot *s)
{
    s->random ^= s->random << 13; /* xorshift64 */
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random;
}

/* Three holds, then two charges; a failing saga fails at one of the charges or at the last hold. */
static void write_document(struct slot *s, bool failing, char *ret, size_t ret_len)
{
    unsigned at = failing ? 2 + (unsigned)(draw(s) % 3) : 99;
    static const char *const names[] = { "one", "two", "three", "four", "five" };
    int len = snprintf(ret, ret_len, "{\"saga\":\"kill-loop\",\"steps\":[");
    for (unsigned i = 0; i < 5; i++)
        len += snprintf(ret + len, ret_len - (size_t)len,
                        "%s{\"name\":\"%s\",\"op\":\"%s\",\"action\":\"%s\",\"compensate\":\"%s\","
                        "\"input\":{\"ms\":%u,\"fail\":%s}}",
                        i > 0 ? "," : "", names[i], i < 3 ? "Reserve" : "Commit",
                        i < 3 ? "bank.hold" : "bank.charge", i < 3 ? "bank.release" : "bank.refund",
                        10 + (unsigned)(draw(s) % 60), i == at ? "true" : "false");
    (void)snprintf(ret + len, ret_len - (size_t)len, "]}");
}

static bool passing(urd_err err)
{
    return urd_err_classify(err) == URD_CLASS_RETRY;
}

/* Submit until acknowledged.  False: stopping, or it can never be. */
static bool submit(struct urd_cx *cx, struct slot *s, bool failing, struct urd_saga_receipt *ret)
{
    char document[2048], key[64], why[URD_CLIENT_ERRMSG_MAX];
    write_document(s, failing, document, sizeof document);
    (void)snprintf(key, sizeof key, "%" PRIu64 "-%u-%" PRIu64, s->load->seed, s->index, s->count++);
    while (!s->load->stopping) {
        urd_err err = urd_client_submit(cx, s->load->client, document, key, ret, why);
        if (err == URD_OK) return true;
        if (err == URD_E_CANCELLED) return false;
        if (!passing(err)) {
            (void)printf("error %s submit: %s\n", urd_err_name(err), why);
            return false;
        }
        if (urd_sleep(cx, 50000000) != URD_OK) return false;
    }
    return false;
}

static bool await(struct urd_cx *cx, struct slot *s, const char *id)
{
    for (;;) {
        char why[URD_CLIENT_ERRMSG_MAX];
        enum urd_saga_state state;
        urd_err err = urd_client_wait(cx, s->load->client, id,
                                      urd_cx_now(cx) + UINT64_C(5000000000), &state, NULL, why);
        if (err == URD_OK) {
            (void)printf("ended %s %s\n", id, urd_saga_state_name(state));
            return true;
        }
        if (err == URD_E_CANCELLED) return false;
        if (!passing(err)) {
            (void)printf("error %s wait %s: %s\n", urd_err_name(err), id, why);
            return false;
        }
        if (urd_sleep(cx, 50000000) != URD_OK) return false;
    }
}

static urd_err run_slot(struct urd_cx *cx, void *arg)
{
    struct slot *s = arg;
    while (!s->load->stopping) {
        struct urd_saga_receipt receipt;
        bool failing = draw(s) % 2 == 0;
        if (!submit(cx, s, failing, &receipt)) break;
        (void)printf("acked %s %s\n", receipt.id, failing ? "compensated" : "committed");
        if (!await(cx, s, receipt.id)) break;
    }
    return URD_OK;
}

static urd_err run_slots(struct urd_cx *cx, struct load *l, struct slot *slots)
{
    int sig;
    struct urd_region_options options = { .name = "slots",
                                          .policy = URD_REGION_COLLECT,
                                          .pinned = true };
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) return URD_E_NOMEM;
    urd_err err = URD_OK;
    for (unsigned i = 0; i < l->inflight && err == URD_OK; i++) {
        slots[i] =
            (struct slot){ .load = l, .index = i, .random = l->seed * 7919 + i * 104729 + 1 };
        err = urd_spawn(cx, urd_region_scope(r), NULL, run_slot, &slots[i]);
    }
    if (err == URD_OK) err = urd_signal_wait(cx, URD_FOREVER, &sig);
    l->stopping = true; /* the slots await what they submitted, then return */
    urd_region_join(cx, r, NULL);
    return err;
}

static urd_err body(struct urd_cx *cx, void *arg)
{
    static struct slot slots[INFLIGHT_MAX];
    struct load *l = arg;
    urd_err err = urd_client_open(cx, NULL, &l->client, l->why);
    if (err != URD_OK) {
        (void)fprintf(stderr, "saga_load: %s: %s\n", urd_err_name(err), l->why);
        return err;
    }
    err = run_slots(cx, l, slots);
    urd_client_close(cx, l->client);
    return err;
}

int main(int argc, char **argv)
{
    if (argc != 3 || atoi(argv[1]) < 1 || atoi(argv[1]) > INFLIGHT_MAX) {
        (void)fprintf(stderr, "usage: saga_load INFLIGHT SEED\n");
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    struct load l = { .inflight = (unsigned)atoi(argv[1]), .seed = strtoull(argv[2], NULL, 0) };
    return urd_client_main_signals(body, &l);
}
