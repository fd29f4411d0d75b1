/* The rate control on a simulated path, in virtual time: one bottleneck with a rate, a queue, a
 * delay, random loss and, if wanted, another flow; reports come back as the receiver would send
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fountain/transfer/datagram.h"
#include "fountain/transfer/pacer.h"
#include "fountain/transfer/rate.h"

#define MS     UINT64_C(1000000)
#define S      UINT64_C(1000000000)
#define WIRE   1356u
#define SEALED (WIRE - URD_FOUNTAIN_IP_UDP_LEN)
#define RING   (1u << 18)

struct path_model {
    double bytes_s;       /* bottleneck */
    uint64_t delay_ns;    /* one way */
    uint64_t queue_ns;    /* what the queue holds, as time */
    double loss;          /* each way */
    uint64_t skew_us;     /* receiver's clock offset */
    bool down_odd;        /* the link is down every other second */
    double cross_bytes_s; /* another flow that always fills the queue to its end */
};

struct flight {
    uint64_t number, sent_ns, arrive_ns;
};

struct sim {
    struct path_model path;
    struct urd_fountain_rate rate;
    struct urd_fountain_pacer pacer;
    uint64_t now, free_ns, random;
    struct flight *ring; /* on their way, in order of arrival */
    uint64_t head, tail, number;
    struct urd_fountain_report report; /* at the receiver */
    uint64_t newest_ns, report_due_ns;
    struct urd_fountain_report back[256]; /* on their way back */
    uint64_t back_ns[256];
    unsigned back_head, back_tail;
    uint64_t lost;
};

static double chance(struct sim *s)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(s->random >> 11) / 9007199254740992.0;
}

static void sim_init(struct sim *s, const struct path_model *path,
                     const struct urd_fountain_rate_options *options)
{
    memset(s, 0, sizeof *s);
    s->path = *path;
    s->now = S;
    s->random = 7;
    s->ring = calloc(RING, sizeof *s->ring);
    assert_non_null(s->ring);
    urd_fountain_rate_init(&s->rate, options, s->now);
    urd_fountain_pacer_init(&s->pacer, s->now, urd_fountain_rate_pace(&s->rate), WIRE);
}

static bool link_down(const struct sim *s, uint64_t at_ns)
{
    return s->path.down_odd && at_ns / S % 2 == 1;
}

static void sim_send(struct sim *s)
{
    uint64_t number = s->number++;
    uint64_t start = s->free_ns > s->now ? s->free_ns : s->now;
    double share = s->path.bytes_s - s->path.cross_bytes_s;
    uint64_t standing = s->path.cross_bytes_s > 0 ? s->path.queue_ns / 2 : 0;
    if (start - s->now > s->path.queue_ns - standing || chance(s) < s->path.loss ||
        link_down(s, s->now)) {
        s->lost++;
        return;
    }
    s->free_ns = start + (uint64_t)(WIRE * 1e9 / share);
    assert_true(s->head - s->tail < RING);
    s->ring[s->head++ % RING] =
        (struct flight){ number, s->now, s->free_ns + standing + s->path.delay_ns };
}

static uint32_t us(uint64_t ns)
{
    return (uint32_t)(ns / 1000);
}

static void sim_receive(struct sim *s)
{
    while (s->tail < s->head && s->ring[s->tail % RING].arrive_ns <= s->now) {
        const struct flight *f = &s->ring[s->tail++ % RING];
        uint32_t clock = us(f->arrive_ns) + (uint32_t)s->path.skew_us;
        uint32_t delay = clock - us(f->sent_ns);
        struct urd_fountain_report *r = &s->report;
        if (!(r->flags & URD_FOUNTAIN_REPORT_HEARD) || (int32_t)(delay - r->delay_us) < 0)
            r->delay_us = delay;
        r->flags = URD_FOUNTAIN_REPORT_HEARD;
        r->highest = f->number;
        r->received++;
        r->bytes += SEALED;
        r->newest_us = clock;
        r->echo_us = us(f->sent_ns);
        s->newest_ns = f->arrive_ns;
    }
}

static void sim_report(struct sim *s)
{
    if (s->now < s->report_due_ns) return;
    uint64_t interval = s->path.delay_ns / 2;
    s->report_due_ns = s->now + (interval > 10 * MS ? interval : 10 * MS);
    struct urd_fountain_report r = s->report;
    r.hold_us = us(s->now - s->newest_ns);
    if (chance(s) >= s->path.loss && !link_down(s, s->now)) {
        s->back[s->back_head % 256] = r;
        s->back_ns[s->back_head++ % 256] = s->now + s->path.delay_ns;
    }
    s->report.flags = 0; /* the least delay begins anew */
}

/* Run for @ns; returns the rate at which bytes arrived, as a share of the bottleneck. */
static double sim_run(struct sim *s, uint64_t ns)
{
    uint64_t end = s->now + ns, before = s->report.received;
    while (s->now < end) {
        sim_receive(s);
        sim_report(s);
        while (s->back_tail < s->back_head && s->back_ns[s->back_tail % 256] <= s->now) {
            const struct urd_fountain_report *r = &s->back[s->back_tail++ % 256];
            if (r->received > 0) urd_fountain_rate_report(&s->rate, s->now, r);
        }
        urd_fountain_rate_tick(&s->rate, s->now);
        urd_fountain_pacer_set(&s->pacer, s->now, urd_fountain_rate_pace(&s->rate));
        uint32_t burst;
        while ((burst = urd_fountain_pacer_burst(&s->pacer, s->now)) > 0) {
            for (uint32_t sent = 0; sent < burst; sent += WIRE) {
                sim_send(s);
                urd_fountain_pacer_spend(&s->pacer, WIRE);
            }
        }
        s->now += MS / 4;
    }
    return (double)(s->report.received - before) * WIRE / ((double)ns / 1e9) / s->path.bytes_s;
}

static const struct urd_fountain_rate_options fair = { .mode = URD_FOUNTAIN_RATE_FAIR };

static void random_loss_does_not_slow_it_down(void **state)
{
    (void)state;
    const double losses[] = { 0, 0.01, 0.05, 0.1, 0.2, 0.3 };
    const uint64_t rtts[] = { 2 * MS, 20 * MS, 100 * MS };
    for (unsigned r = 0; r < 3; r++)
        for (unsigned i = 0; i < 6; i++) {
            struct path_model path = { .bytes_s = 12.5e6,
                                       .delay_ns = rtts[r] / 2,
                                       .queue_ns = 50 * MS,
                                       .loss = losses[i],
                                       .skew_us = 0xfff00000 };
            struct sim s;
            sim_init(&s, &path, &fair);
            double first = sim_run(&s, 2 * S), then = sim_run(&s, 20 * S);
            if (getenv("RATE_SHOW"))
                print_message("rtt %3u ms loss %4.2f: first 2 s %.2f, then %.2f\n",
                              (unsigned)(rtts[r] / MS), losses[i], first, then);
            assert_true(first > 0.5 * (1 - losses[i]));
            assert_true(then > 0.80 * (1 - losses[i]));
            free(s.ring);
        }
}

/* An unlucky start must not leave it slow for long: the worst of many. */
static void luck_does_not_decide(void **state)
{
    (void)state;
    const double losses[] = { 0.01, 0.05, 0.3 };
    for (unsigned l = 0; l < 3; l++) {
        double worst = 1;
        for (unsigned seed = 1; seed <= 60; seed++) {
            struct path_model path = {
                .bytes_s = 125e6, .delay_ns = 50 * MS, .queue_ns = 20 * MS, .loss = losses[l]
            };
            struct sim s;
            sim_init(&s, &path, &fair);
            s.random = seed * 7919;
            double share = sim_run(&s, 4 * S);
            if (share < worst) worst = share;
            free(s.ring);
        }
        if (getenv("RATE_SHOW")) print_message("loss %.2f: worst %.2f\n", losses[l], worst);
        assert_true(worst > 0.5 * (1 - losses[l]));
    }
}

static void the_queue_stays_short(void **state)
{
    (void)state;
    struct path_model path = { .bytes_s = 12.5e6, .delay_ns = 10 * MS, .queue_ns = 500 * MS };
    struct sim s;
    sim_init(&s, &path, &fair);
    (void)sim_run(&s, 3 * S);
    double total = 0;
    for (unsigned i = 0; i < 1000; i++) {
        (void)sim_run(&s, 10 * MS);
        total += s.free_ns > s.now ? (double)(s.free_ns - s.now) : 0;
    }
    assert_true(total / 1000 < 10e6); /* 10 ms of a queue that would hold 500 */
    assert_true(s.lost == 0);
    free(s.ring);
}

/* A policer drops what is above its rate and delays nothing. */
static void it_does_not_run_away_into_a_policer(void **state)
{
    (void)state;
    struct path_model path = { .bytes_s = 5e6, .delay_ns = 20 * MS, .queue_ns = 2 * MS };
    struct sim s;
    sim_init(&s, &path, &fair);
    (void)sim_run(&s, 5 * S);
    uint64_t lost = s.lost, sent = s.number;
    double share = sim_run(&s, 20 * S);
    double loss = (double)(s.lost - lost) / (double)(s.number - sent);
    if (getenv("RATE_SHOW")) print_message("policer: share %.2f loss %.3f\n", share, loss);
    assert_true(share > 0.8);
    assert_true(loss < 0.10);
    free(s.ring);
}

static void it_comes_back_at_once_after_an_outage(void **state)
{
    (void)state;
    struct path_model path = {
        .bytes_s = 12.5e6, .delay_ns = 50 * MS, .queue_ns = 100 * MS, .down_odd = true
    };
    struct sim s;
    sim_init(&s, &path, &fair);
    s.now = 2 * S; /* begins with a second that is up */
    s.rate.report_ns = s.now;
    double share = sim_run(&s, 10 * S);
    if (getenv("RATE_SHOW")) print_message("up and down: share %.2f\n", share);
    assert_true(share > 0.30); /* of 0.5 */
    free(s.ring);
}

static void a_slower_path_is_noticed(void **state)
{
    (void)state;
    struct path_model path = { .bytes_s = 12.5e6, .delay_ns = 20 * MS, .queue_ns = 100 * MS };
    struct sim s;
    sim_init(&s, &path, &fair);
    (void)sim_run(&s, 5 * S);
    s.path.bytes_s = 2.5e6;
    (void)sim_run(&s, 2 * S);
    uint64_t lost = s.lost, sent = s.number;
    double share = sim_run(&s, 5 * S);
    assert_true(share > 0.75);
    assert_true((double)(s.lost - lost) / (double)(s.number - sent) < 0.05);
    s.path.bytes_s = 12.5e6;
    (void)sim_run(&s, 10 * S);
    share = sim_run(&s, 5 * S);
    if (getenv("RATE_SHOW")) print_message("faster again: share %.2f\n", share);
    assert_true(share > 0.75);
    free(s.ring);
}

static void beside_a_flow_that_fills_the_queue_it_is_not_starved(void **state)
{
    (void)state;
    struct path_model path = { .bytes_s = 12.5e6, .delay_ns = 20 * MS, .queue_ns = 100 * MS };
    struct sim s;
    sim_init(&s, &path, &fair);
    (void)sim_run(&s, 3 * S);
    s.path.cross_bytes_s = 6.25e6; /* stands at half the queue from now on */
    (void)sim_run(&s, 5 * S);
    double share = sim_run(&s, 20 * S);
    if (getenv("RATE_SHOW")) print_message("beside another: share %.2f\n", share);
    assert_true(share > 0.15);
    free(s.ring);
}

static void a_scavenger_gives_way_to_it(void **state)
{
    (void)state;
    struct path_model path = { .bytes_s = 12.5e6, .delay_ns = 20 * MS, .queue_ns = 100 * MS };
    struct urd_fountain_rate_options options = { .mode = URD_FOUNTAIN_RATE_SCAVENGER };
    struct sim s;
    sim_init(&s, &path, &options);
    double alone = sim_run(&s, 10 * S);
    assert_true(alone > 0.4);
    s.path.cross_bytes_s = 6.25e6;
    s.path.delay_ns += 5 * MS;
    (void)sim_run(&s, 2 * S);
    double share = sim_run(&s, 5 * S);
    if (getenv("RATE_SHOW")) print_message("scavenger: alone %.2f, beside %.2f\n", alone, share);
    assert_true(share < alone / 2);
    free(s.ring);
}

static void a_limit_and_a_fixed_rate_are_kept(void **state)
{
    (void)state;
    struct path_model path = { .bytes_s = 12.5e6, .delay_ns = 10 * MS, .queue_ns = 50 * MS };
    struct urd_fountain_rate_options limit = { .max_bps = 20000000 };
    struct urd_fountain_rate_options fixed = { .mode = URD_FOUNTAIN_RATE_FIXED,
                                               .rate_bps = 40000000 };
    struct sim s;
    sim_init(&s, &path, &limit);
    (void)sim_run(&s, 2 * S);
    double share = sim_run(&s, 5 * S);
    assert_true(share > 0.17 && share < 0.205);
    free(s.ring);
    path.loss = 0.3;
    sim_init(&s, &path, &fixed);
    (void)sim_run(&s, 2 * S);
    share = sim_run(&s, 5 * S);
    assert_true(share > 0.26 && share < 0.3);
    free(s.ring);
}

static void without_reports_it_falls_and_then_pauses(void **state)
{
    (void)state;
    struct urd_fountain_rate rate;
    urd_fountain_rate_init(&rate, &fair, S);
    uint64_t pace = urd_fountain_rate_pace(&rate);
    for (uint64_t now = S; now < 3 * S; now += MS)
        urd_fountain_rate_tick(&rate, now);
    assert_true(urd_fountain_rate_pace(&rate) < pace / 4);
    for (uint64_t now = 3 * S; now < 35 * S; now += MS)
        urd_fountain_rate_tick(&rate, now);
    assert_int_equal(urd_fountain_rate_pace(&rate), 0);
    struct urd_fountain_report r = { .flags = URD_FOUNTAIN_REPORT_HEARD,
                                     .received = 1,
                                     .echo_us = us(35 * S) - 1000 };
    urd_fountain_rate_report(&rate, 35 * S, &r);
    assert_true(urd_fountain_rate_pace(&rate) >= pace); /* as good as before */
}

/* Reports are stamped by one task, ticks by another, whose clock may be a turn behind. */
static void an_instant_a_little_back_changes_nothing(void **state)
{
    (void)state;
    struct path_model path = { .bytes_s = 12.5e6, .delay_ns = 10 * MS, .queue_ns = 50 * MS };
    struct sim s;
    sim_init(&s, &path, &fair);
    unsigned met = 0;
    for (unsigned i = 0; i < 40000; i++) {
        enum urd_fountain_rate_phase before = s.rate.phase;
        (void)sim_run(&s, MS / 4);
        enum urd_fountain_rate_phase phase = s.rate.phase;
        if (phase == before) continue;
        met++; /* a phase has just begun: it must not be over for a look at another clock */
        urd_fountain_rate_tick(&s.rate, s.now - 3 * MS);
        assert_int_equal(s.rate.phase, phase);
    }
    assert_true(met > 10);
    free(s.ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_loss_does_not_slow_it_down),
        cmocka_unit_test(luck_does_not_decide),
        cmocka_unit_test(the_queue_stays_short),
        cmocka_unit_test(it_does_not_run_away_into_a_policer),
        cmocka_unit_test(it_comes_back_at_once_after_an_outage),
        cmocka_unit_test(a_slower_path_is_noticed),
        cmocka_unit_test(beside_a_flow_that_fills_the_queue_it_is_not_starved),
        cmocka_unit_test(a_scavenger_gives_way_to_it),
        cmocka_unit_test(a_limit_and_a_fixed_rate_are_kept),
        cmocka_unit_test(an_instant_a_little_back_changes_nothing),
        cmocka_unit_test(without_reports_it_falls_and_then_pauses),
    };
    return cmocka_run_group_tests_name("fountain/transfer/rate", tests, NULL, NULL);
}
