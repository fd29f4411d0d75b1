/* report -> point -> differences over a window: D, p, queue -> evidence -> base and phase
 *
 *     START --(delay | loss | plateau)--> DRAIN -> CRUISE -> RAISE -> CRUISE ...
 *                                           ^         |         |
 *                                           +---------+---------+  (congestion, or p0 is stale)
 *
 * After: Cardwell et al., "BBR: Congestion-Based Congestion Control" (ACM Queue 2016), for pacing
 * by delivery rate with phases of gain; Rossi et al., LEDBAT (RFC 6817), for the scavenger's delay
 * target; what is different, and why, is in rate.h. */
#include "fountain/transfer/rate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fountain/transfer/datagram.h"

#define SECOND_NS          UINT64_C(1000000000)
#define WINDOW_MIN_NS      UINT64_C(20000000)
#define RTT_GUESS_NS       UINT64_C(100000000) /* until the first report */
#define LEAST_HALF_NS      (5 * SECOND_NS)     /* two halves: a least over 5 to 10 s */
#define START_BYTES_S      1250000.0           /* 10 Mbit/s */
#define PACE_MIN_BYTES_S   8000.0
#define PACE_MAX_BYTES_S   5.0e9
#define SILENCE_MIN_NS     UINT64_C(100000000)
#define SILENCE_PAUSE_NS   (30 * SECOND_NS)
#define OUTAGE_NS          UINT64_C(500000000) /* a gap that makes the history useless */
#define SAMPLE_DATAGRAMS   64u                 /* fewer say nothing about loss */
#define CRUISE_RTTS        6u
#define CLIMB_RTTS         2u /* feedback of a raise takes as long */
#define CLIMBS_TO_START    3u
#define START_SAMPLE       300.0
#define LOSS_MARGIN        0.03
#define COMPETE_REDUCTIONS 4u
#define COMPETE_RTTS       12u
#define PLATEAU_ROUNDS     2u
#define CUT_MOST           0.7
#define DRAIN_RTTS_MAX     4u
#define START_LEAD         4.0 /* D lags by a round trip: two doublings */
#define START_SPAN_US      8000u

/* What the modes differ in. */
struct manner {
    double queue_min_ns, queue_rtt; /* congestion: queue above max(min, rtt * RTT) */
    double raise, drain, back;      /* gains, and what is left of the base on congestion */
    bool competes;
};
static const struct manner manners[] = {
    [URD_FOUNTAIN_RATE_FAIR] = { 5e6, 0.15, 1.25, 0.75, 0.95, true },
    [URD_FOUNTAIN_RATE_SCAVENGER] = { 2e6, 0.05, 1.10, 0.50, 0.70, false },
    [URD_FOUNTAIN_RATE_FIXED] = { 1e18, 0, 1, 1, 1, false },
};

static const struct manner *manner(const struct urd_fountain_rate *rate)
{
    return &manners[rate->options.mode];
}

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static void least_reset(struct urd_fountain_rate_least *least)
{
    *least = (struct urd_fountain_rate_least){ .now = INFINITY, .before = INFINITY };
}

static void least_add(struct urd_fountain_rate_least *least, uint64_t now_ns, double value)
{
    if (now_ns - least->turn_ns >= LEAST_HALF_NS) {
        least->before = least->now;
        least->now = INFINITY;
        least->turn_ns = now_ns;
    }
    if (value < least->now) least->now = value;
}

static double least_get(const struct urd_fountain_rate_least *least)
{
    return least->now < least->before ? least->now : least->before;
}

/* The round trip without what queues and busy hosts add to it: the least of 10 s. */
static uint64_t rtt_of(const struct urd_fountain_rate *rate)
{
    double least = least_get(&rate->rtt_least);
    return isfinite(least) ? (uint64_t)least : RTT_GUESS_NS;
}

static uint64_t window_of(const struct urd_fountain_rate *rate)
{
    uint64_t rtt = rtt_of(rate);
    return rtt > WINDOW_MIN_NS ? rtt : WINDOW_MIN_NS;
}

double urd_fountain_rate_p0(const struct urd_fountain_rate *rate)
{
    double p0 = least_get(&rate->p_least);
    return isfinite(p0) ? clamp(p0, 0, 0.9) : 0;
}

void urd_fountain_rate_init(struct urd_fountain_rate *rate,
                            const struct urd_fountain_rate_options *options, uint64_t now_ns)
{
    *rate = (struct urd_fountain_rate){ .options = *options,
                                        .phase = URD_FOUNTAIN_PHASE_START,
                                        .phase_ns = now_ns,
                                        .base = START_BYTES_S,
                                        .gain = 1,
                                        .breaker = 1,
                                        .report_ns = now_ns,
                                        .doubled_ns = now_ns,
                                        .round_ns = now_ns,
                                        .probe_p0_ns = now_ns };
    if (options->start_bps > 0) rate->base = (double)options->start_bps / 8 / 2;
    if (options->mode == URD_FOUNTAIN_RATE_FIXED) rate->base = (double)options->rate_bps / 8;
    least_reset(&rate->p_least);
    least_reset(&rate->delay_least);
    least_reset(&rate->rtt_least);
}

static void phase_enter(struct urd_fountain_rate *rate, enum urd_fountain_rate_phase phase,
                        uint64_t now_ns)
{
    rate->phase = phase;
    rate->phase_ns = now_ns;
    rate->gain = phase == URD_FOUNTAIN_PHASE_DRAIN   ? manner(rate)->drain
                 : phase == URD_FOUNTAIN_PHASE_RAISE ? manner(rate)->raise
                                                     : 1;
    if (phase == URD_FOUNTAIN_PHASE_RAISE) {
        rate->raised_ns = now_ns;
        rate->raise_base = rate->base;
    }
    if (phase == URD_FOUNTAIN_PHASE_DRAIN) {
        rate->probe_p0_ns = now_ns;
        rate->drain_queue_ns = rate->queue_ns;
    }
}

static void rtt_take(struct urd_fountain_rate *rate, uint64_t now_ns, uint64_t arrival_ns,
                     const struct urd_fountain_report *report)
{
    uint32_t rtt_us = (uint32_t)(arrival_ns / 1000) - report->echo_us - report->hold_us;
    if (rtt_us > 60u * 1000000u) return; /* the clocks of one echo cannot disagree so much */
    uint64_t rtt = rtt_us == 0 ? 1000 : (uint64_t)rtt_us * 1000;
    rate->rtt_ns = rate->rtt_ns == 0 ? rtt : (rate->rtt_ns * 7 + rtt) / 8;
    least_add(&rate->rtt_least, now_ns, (double)rtt);
    if (rate->rtt_least_ns == 0 || rtt < rate->rtt_least_ns) rate->rtt_least_ns = rtt;
}

/* The queueing delay: how much the least relative delay of late is above the least of 10 s. */
static void delay_take(struct urd_fountain_rate *rate, uint64_t now_ns,
                       const struct urd_fountain_report *report)
{
    /* Clocks differ by an arbitrary offset modulo 2^32 us: compare with the first one seen. */
    double relative = (double)(int32_t)report->delay_us * 1000;
    double base = least_get(&rate->delay_least);
    if (isfinite(base) && fabs(relative - base) > 1e12) { /* wrapped */
        least_reset(&rate->delay_least);
        base = INFINITY;
    }
    least_add(&rate->delay_least, now_ns, relative);
    base = least_get(&rate->delay_least);
    rate->queue_ns = relative - base;
}

static void point_add(struct urd_fountain_rate *rate, uint64_t now_ns,
                      const struct urd_fountain_report *report)
{
    rate->points_head = (rate->points_head + 1) % URD_FOUNTAIN_RATE_HISTORY;
    rate->points[rate->points_head] =
        (struct urd_fountain_rate_point){ .at_ns = now_ns,
                                          .highest = report->highest,
                                          .received = report->received,
                                          .wire_bytes = report->bytes +
                                                        report->received * URD_FOUNTAIN_IP_UDP_LEN,
                                          .newest_us = report->newest_us };
    if (rate->points_count < URD_FOUNTAIN_RATE_HISTORY) rate->points_count++;
}

static const struct urd_fountain_rate_point *point_back(const struct urd_fountain_rate *rate,
                                                        unsigned back)
{
    return &rate->points[(rate->points_head + URD_FOUNTAIN_RATE_HISTORY - back) %
                         URD_FOUNTAIN_RATE_HISTORY];
}

/* The youngest point that is @us older than the newest one and @datagrams before it; NULL: none. */
static const struct urd_fountain_rate_point *point_before(const struct urd_fountain_rate *rate,
                                                          uint64_t us, uint64_t datagrams)
{
    const struct urd_fountain_rate_point *last = point_back(rate, 0);
    for (unsigned back = 1; back < rate->points_count; back++) {
        const struct urd_fountain_rate_point *p = point_back(rate, back);
        if (last->newest_us - p->newest_us >= us && last->highest - p->highest >= datagrams)
            return p;
    }
    return NULL;
}

/* The loss since @first. */
static double loss_since(const struct urd_fountain_rate *rate,
                         const struct urd_fountain_rate_point *first, double *ret_sent)
{
    const struct urd_fountain_rate_point *last = point_back(rate, 0);
    double sent = (double)(last->highest - first->highest);
    double came = (double)(last->received - first->received);
    *ret_sent = sent;
    return came >= sent ? 0 : 1 - came / sent;
}

/* D and p over the last window; longer for p when it holds too few datagrams to say anything, the
 * more the lossier the path is. */
static bool window_measure(struct urd_fountain_rate *rate)
{
    if (rate->points_count < 2) return false;
    const struct urd_fountain_rate_point *last = point_back(rate, 0);
    const struct urd_fountain_rate_point *first = point_before(rate, window_of(rate) / 1000, 1);
    if (first == NULL) return false;
    rate->D = (double)(last->wire_bytes - first->wire_bytes) * 1e6 /
              (uint32_t)(last->newest_us - first->newest_us);
    uint64_t enough = SAMPLE_DATAGRAMS + (uint64_t)(1000 * rate->p);
    first = point_before(rate, window_of(rate) / 1000, enough);
    if (first == NULL) return false;
    rate->p = loss_since(rate, first, &rate->sent);
    rate->measured = true;
    return true;
}

/* The standard deviation of a loss measured over @sent datagrams, if the truth is @p. */
static double p_noise(double p, double sent)
{
    p = clamp(p, 0.02, 0.5);
    return sqrt(p * (1 - p) / sent);
}

/* A sample for p0: over more than a window, and one deviation up, for the least of many noisy
 * values is too low; the very first one, over little, three deviations up. */
static void p0_sample(struct urd_fountain_rate *rate, uint64_t now_ns)
{
    uint64_t enough = 4 * (SAMPLE_DATAGRAMS + (uint64_t)(1000 * rate->p));
    const struct urd_fountain_rate_point *first =
        point_before(rate, 3 * window_of(rate) / 1000, enough);
    bool none = !isfinite(least_get(&rate->p_least));
    if (first == NULL && !none) return;
    double sent = rate->sent, p = first == NULL ? rate->p : loss_since(rate, first, &sent);
    least_add(&rate->p_least, now_ns, p + (first == NULL ? 3 : 1) * p_noise(p, sent));
}

static bool loss_congested(const struct urd_fountain_rate *rate, uint64_t now_ns)
{
    if (rate->phase != URD_FOUNTAIN_PHASE_START &&
        (rate->raised_ns == 0 || now_ns - rate->raised_ns > 3 * window_of(rate)))
        return false; /* nothing was raised: whatever is lost is lost to something else */
    if (rate->phase == URD_FOUNTAIN_PHASE_START && rate->sent < START_SAMPLE) return false;
    bool start = rate->phase == URD_FOUNTAIN_PHASE_START;
    double p0 = urd_fountain_rate_p0(rate);
    double noise = (start ? 4 : 3) * p_noise(rate->p > p0 ? rate->p : p0, rate->sent);
    double margin = start ? 2 * LOSS_MARGIN : LOSS_MARGIN;
    return rate->p > p0 + (noise > margin ? noise : margin);
}

static double queue_limit(const struct urd_fountain_rate *rate)
{
    double limit = manner(rate)->queue_rtt * (double)rtt_of(rate);
    return limit < manner(rate)->queue_min_ns ? manner(rate)->queue_min_ns : limit;
}

static bool delay_congested(const struct urd_fountain_rate *rate, uint64_t now_ns)
{
    return now_ns >= rate->compete_until_ns && rate->queue_ns > queue_limit(rate);
}

/* What the path delivers, with the loss it has anyway put back. */
static double delivered(const struct urd_fountain_rate *rate)
{
    return rate->D / (1 - urd_fountain_rate_p0(rate));
}

/* Congestion: at most one answer a window, which is how long an answer takes to show. */
static void congestion_answer(struct urd_fountain_rate *rate, uint64_t now_ns, bool by_delay)
{
    if (rate->reduced_ns != 0 && now_ns - rate->reduced_ns < 2 * window_of(rate)) return;
    double base = delivered(rate);
    if (base > rate->base) base = rate->base;
    if (base < rate->base * CUT_MOST) base = rate->base * CUT_MOST; /* not by one bad window */
    rate->base = base * manner(rate)->back;
    rate->reduced_ns = now_ns;
    rate->climbs = 0;
    rate->reductions = by_delay ? rate->reductions + 1 : 0;
    if (manner(rate)->competes && rate->reductions >= COMPETE_REDUCTIONS) {
        /* The queue stays whatever is given up: someone else fills it.  Stand beside them. */
        rate->compete_until_ns = now_ns + COMPETE_RTTS * window_of(rate);
        rate->reductions = 0;
    }
    phase_enter(rate, URD_FOUNTAIN_PHASE_DRAIN, now_ns);
}

/* As delivered(), over the last moment only: what START goes by.  0: not known. */
static double delivered_now(const struct urd_fountain_rate *rate)
{
    const struct urd_fountain_rate_point *last = point_back(rate, 0),
                                         *first = point_before(rate, START_SPAN_US, 16);
    if (first == NULL) return 0;
    double us = (double)(uint32_t)(last->newest_us - first->newest_us);
    return (double)(last->wire_bytes - first->wire_bytes) * 1e6 / us /
           (1 - urd_fountain_rate_p0(rate));
}

static void start_end(struct urd_fountain_rate *rate, uint64_t now_ns)
{
    double D = rate->D > rate->plateau_D ? rate->D : rate->plateau_D;
    double base = D / (1 - urd_fountain_rate_p0(rate));
    if (base < rate->base) rate->base = base;
    rate->reduced_ns = now_ns;
    phase_enter(rate, URD_FOUNTAIN_PHASE_DRAIN, now_ns);
}

/* START: has D stopped growing, a round after the pace grew? */
static bool start_plateau(struct urd_fountain_rate *rate, uint64_t now_ns)
{
    if (now_ns - rate->round_ns < window_of(rate)) return false;
    rate->round_ns = now_ns;
    bool grew = rate->D > 1.25 * rate->plateau_D || now_ns < rate->limited_ns;
    rate->plateau_rounds = grew ? 0 : rate->plateau_rounds + 1;
    if (rate->D > rate->plateau_D) rate->plateau_D = rate->D;
    return rate->plateau_rounds >= PLATEAU_ROUNDS;
}

/* A raise has had its time: did it come through?  After several in a row the path has more room
 * than single raises find soon: START again. */
static void raise_judge(struct urd_fountain_rate *rate, uint64_t now_ns)
{
    double half = 1 + (manner(rate)->raise - 1) / 2;
    bool through = rate->raised_ns != 0 && rate->base > rate->raise_base * half;
    rate->climbs = through ? rate->climbs + 1 : 0;
    rate->raised_ns = 0;
    if (rate->climbs < CLIMBS_TO_START || !manner(rate)->competes) return;
    rate->climbs = 0;
    rate->plateau_D = rate->D;
    rate->plateau_rounds = 0;
    rate->round_ns = rate->doubled_ns = now_ns;
    phase_enter(rate, URD_FOUNTAIN_PHASE_START, now_ns);
}

static void start_report(struct urd_fountain_rate *rate, uint64_t now_ns)
{
    bool measured = rate->measured;
    if (measured && (delay_congested(rate, now_ns) || loss_congested(rate, now_ns) ||
                     start_plateau(rate, now_ns))) {
        start_end(rate, now_ns);
        return;
    }
    if (now_ns < rate->limited_ns && measured) return; /* no use in promising more */
    if (now_ns - rate->doubled_ns >= rtt_of(rate) / 2) {
        rate->base *= 2;
        double lead = START_LEAD * delivered_now(rate);
        if (lead > 0 && rate->base > lead) rate->base = lead;
        rate->doubled_ns = now_ns;
    }
}

static void cruise_report(struct urd_fountain_rate *rate, uint64_t now_ns)
{
    bool limited = now_ns < rate->limited_ns;
    bool by_delay = delay_congested(rate, now_ns);
    if (rate->phase == URD_FOUNTAIN_PHASE_DRAIN && rate->queue_ns < rate->drain_queue_ns) {
        rate->drain_queue_ns = rate->queue_ns; /* it empties: that is answer enough */
        return;
    }
    if ((by_delay || loss_congested(rate, now_ns)) && !(limited && !by_delay)) {
        congestion_answer(rate, now_ns, by_delay);
        return;
    }
    if (rate->queue_ns < manner(rate)->queue_min_ns / 2) rate->reductions = 0;
    double now = delivered(rate);
    /* A raise that came through is the new base; a little margin keeps noise from ratcheting. */
    bool raised = rate->raised_ns != 0 && now_ns - rate->raised_ns < 3 * window_of(rate);
    double most = rate->base * manner(rate)->raise;
    if (raised && now > rate->base * 1.02) rate->base = now < most ? now : most;
}

/* Instants come from several tasks, whose clocks differ by a turn. */
static uint64_t instant(struct urd_fountain_rate *rate, uint64_t now_ns)
{
    if (now_ns > rate->now_ns) rate->now_ns = now_ns;
    return rate->now_ns;
}

void urd_fountain_rate_report(struct urd_fountain_rate *rate, uint64_t now_ns,
                              const struct urd_fountain_report *report)
{
    uint64_t arrival_ns = now_ns;
    now_ns = instant(rate, now_ns);
    bool outage = rate->breaker < 1 || now_ns - rate->report_ns > OUTAGE_NS + rtt_of(rate);
    if (outage) { /* what the gap did to loss and delay says nothing about the path now */
        rate->points_count = 0;
        rate->measured = false;
        rate->raised_ns = 0;
        rate->breaker = 1;
        if (rate->phase != URD_FOUNTAIN_PHASE_START)
            phase_enter(rate, URD_FOUNTAIN_PHASE_CRUISE, now_ns);
    }
    rate->report_ns = now_ns;
    rtt_take(rate, now_ns, arrival_ns, report);
    delay_take(rate, now_ns, report);
    if (rate->heard && report->newest_us == point_back(rate, 0)->newest_us)
        return; /* nothing new */
    rate->heard = true;
    point_add(rate, now_ns, report);
    bool measured = window_measure(rate);
    if (measured) p0_sample(rate, now_ns);
    if (rate->options.mode == URD_FOUNTAIN_RATE_FIXED) return;
    if (rate->phase == URD_FOUNTAIN_PHASE_START)
        start_report(rate, now_ns);
    else if (measured)
        cruise_report(rate, now_ns);
    rate->base = clamp(rate->base, PACE_MIN_BYTES_S, PACE_MAX_BYTES_S);
    if (getenv("RATE_LOG"))
        fprintf(stderr,
                "%.3f ph %d base %.1f D %.1f p %.3f p0 %.3f q %.1f ms lim %d rtt %.1f brk %.3f "
                "sent %llu end %u needs %u n0 %u fl %u\n",
                (double)now_ns / 1e9, (int)rate->phase, rate->base * 8e-6, rate->D * 8e-6, rate->p,
                urd_fountain_rate_p0(rate), rate->queue_ns / 1e6, now_ns < rate->limited_ns,
                (double)rate->rtt_ns / 1e6, rate->breaker, (unsigned long long)report->highest,
                report->window_end, report->needs_count, report->needs[0].need, report->flags);
}

/* Reports are missing: halve, and again each time as long passes. */
static void silence_tick(struct urd_fountain_rate *rate, uint64_t now_ns)
{
    uint64_t patience = 3 * (rate->rtt_ns != 0 ? rate->rtt_ns : RTT_GUESS_NS);
    if (patience < SILENCE_MIN_NS) patience = SILENCE_MIN_NS;
    uint64_t since = rate->report_ns > rate->backoff_ns ? rate->report_ns : rate->backoff_ns;
    if (now_ns < since + patience) return;
    rate->breaker /= 2;
    rate->backoff_ns = now_ns;
    if (now_ns - rate->report_ns > SILENCE_PAUSE_NS) rate->breaker = 0;
}

void urd_fountain_rate_tick(struct urd_fountain_rate *rate, uint64_t now_ns)
{
    now_ns = instant(rate, now_ns);
    silence_tick(rate, now_ns);
    if (rate->options.mode == URD_FOUNTAIN_RATE_FIXED || rate->breaker < 1) return;
    uint64_t in_phase = now_ns - rate->phase_ns, window = window_of(rate);
    switch (rate->phase) {
    case URD_FOUNTAIN_PHASE_START:
        break;
    case URD_FOUNTAIN_PHASE_DRAIN:
        if (in_phase < window) break;
        if (delay_congested(rate, now_ns) && in_phase < DRAIN_RTTS_MAX * window) break;
        phase_enter(rate, URD_FOUNTAIN_PHASE_CRUISE, now_ns);
        break;
    case URD_FOUNTAIN_PHASE_CRUISE:
        if (rate->raised_ns != 0 && in_phase >= CLIMB_RTTS * window) {
            raise_judge(rate, now_ns);
            if (rate->phase != URD_FOUNTAIN_PHASE_CRUISE) break;
        }
        if (now_ns - rate->probe_p0_ns > 2 * LEAST_HALF_NS)
            phase_enter(rate, URD_FOUNTAIN_PHASE_DRAIN, now_ns);
        else if (in_phase >= (rate->climbs > 0 ? CLIMB_RTTS : CRUISE_RTTS) * window &&
                 now_ns >= rate->limited_ns)
            phase_enter(rate, URD_FOUNTAIN_PHASE_RAISE, now_ns);
        break;
    case URD_FOUNTAIN_PHASE_RAISE:
        if (in_phase >= window) phase_enter(rate, URD_FOUNTAIN_PHASE_CRUISE, now_ns);
        break;
    }
}

void urd_fountain_rate_limited(struct urd_fountain_rate *rate, uint64_t now_ns)
{
    rate->limited_ns = instant(rate, now_ns) + window_of(rate);
}

uint64_t urd_fountain_rate_pace(const struct urd_fountain_rate *rate)
{
    if (rate->breaker == 0) return 0;
    double pace = rate->base * rate->gain * rate->breaker;
    if (pace < PACE_MIN_BYTES_S) pace = PACE_MIN_BYTES_S;
    if (rate->options.max_bps > 0 && pace > (double)rate->options.max_bps / 8)
        pace = (double)rate->options.max_bps / 8;
    return (uint64_t)pace;
}

uint64_t urd_fountain_rate_path_bps(const struct urd_fountain_rate *rate)
{
    if (!rate->measured) return 0;
    double best = delivered(rate);
    if (rate->base < best || rate->phase == URD_FOUNTAIN_PHASE_START) best = rate->base;
    return (uint64_t)(best * 8);
}
