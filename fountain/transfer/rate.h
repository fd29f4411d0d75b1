/* fountain/transfer/rate.h -- how fast to send: a function of time and reports.
 *
 *     pace = gain * base,   base = D / (1 - p0)
 *
 * D is the delivery rate as the receiver measures it and p the loss, both over the last
 * max(RTT, 20 ms); p0 is the least p of the last 10 s, looked for again by one RTT at 0.75: the
 * loss that the path has anyway.  The base moves only on evidence: up when a raise was delivered,
 * down on congestion, which is queueing delay above max(5 ms, 0.15 * base RTT), or p well above p0
 * after a raise.  Loss alone is not congestion: pacing at D itself would fall without end on a
 * lossy path, and D / (1 - p) with the p of the moment would run away into a policer.
 *
 * START doubles each half RTT until delay, loss or a plateau; CRUISE raises now and then.  When
 * reports stop the pace is halved again and again; after 30 s it stops but for a probe a second.
 * After that the first report restores the base.  Pure: no clock, no I/O, no allocation. */
#ifndef FOUNTAIN_TRANSFER_RATE_H
#define FOUNTAIN_TRANSFER_RATE_H

#include "fountain/transfer/report.h"
#include "fountain/transfer/transfer.h"

#define URD_FOUNTAIN_RATE_HISTORY 64u

/* What one report said, kept for differences. */
struct urd_fountain_rate_point {
    uint64_t at_ns; /* sender's clock when the report came */
    uint64_t highest, received, wire_bytes;
    uint32_t newest_us;
};

/* A least value over a sliding time: two half-windows. */
struct urd_fountain_rate_least {
    double now, before;
    uint64_t turn_ns;
};

enum urd_fountain_rate_phase {
    URD_FOUNTAIN_PHASE_START,
    URD_FOUNTAIN_PHASE_DRAIN,  /* one RTT below the base: let a queue empty, look for p0 */
    URD_FOUNTAIN_PHASE_CRUISE, /* at the base */
    URD_FOUNTAIN_PHASE_RAISE   /* one RTT above it */
};

struct urd_fountain_rate {
    struct urd_fountain_rate_options options;
    enum urd_fountain_rate_phase phase;
    uint64_t now_ns;       /* latest instant heard of: it never goes back */
    uint64_t phase_ns;     /* when the phase began */
    double base;           /* bytes/s on the wire */
    double gain;           /* of the phase */
    double D, p;           /* over the last window; bytes/s, 0..1 */
    double sent;           /* datagrams that D and p were measured over */
    bool measured;         /* D and p mean something */
    double queue_ns;       /* queueing delay of late */
    double drain_queue_ns; /* DRAIN: the least it has come to */
    uint64_t rtt_ns;       /* smoothed; 0: not known */
    struct urd_fountain_rate_least rtt_least;
    uint64_t rtt_least_ns;     /* least seen; 0: not known */
    uint64_t report_ns;        /* when the last report came, or the start */
    uint64_t backoff_ns;       /* when the pace was halved last for want of reports */
    double breaker;            /* 1, 0.5, 0.25 ... while reports are missing */
    uint64_t reduced_ns;       /* when congestion was last answered */
    unsigned reductions;       /* in a row, with the queue never empty */
    uint64_t compete_until_ns; /* others fill the queue: delay means nothing until then */
    uint64_t raised_ns;        /* when the last raise began */
    double raise_base;         /* the base it began from */
    unsigned climbs;           /* raises in a row that came through: raise again soon */
    double plateau_D;          /* START: D a round ago */
    unsigned plateau_rounds;
    uint64_t round_ns;   /* START: when that round began */
    uint64_t doubled_ns; /* START: last doubling */
    uint64_t limited_ns; /* until when samples are of a sender that had nothing to send */
    struct urd_fountain_rate_least p_least, delay_least;
    uint64_t probe_p0_ns; /* when p0 was looked for last */
    struct urd_fountain_rate_point points[URD_FOUNTAIN_RATE_HISTORY];
    unsigned points_head, points_count;
    bool heard; /* points[points_head] was set once */
};

void urd_fountain_rate_init(struct urd_fountain_rate *rate,
                            const struct urd_fountain_rate_options *options, uint64_t now_ns);

/* Take a report that came at @now_ns (newer than all before, HEARD set). */
void urd_fountain_rate_report(struct urd_fountain_rate *rate, uint64_t now_ns,
                              const struct urd_fountain_report *report);
/* To be called now and then (each burst): phases, missing reports. */
void urd_fountain_rate_tick(struct urd_fountain_rate *rate, uint64_t now_ns);
/* The sender had nothing to send: what is measured for the next RTT may not lower the base. */
void urd_fountain_rate_limited(struct urd_fountain_rate *rate, uint64_t now_ns);
/* Bytes/s on the wire (IP and UDP headers counted) to send at now; 0: send nothing but a probe a
 * second. */
uint64_t urd_fountain_rate_pace(const struct urd_fountain_rate *rate);
/* The loss that the path has anyway (p0) and of late, 0..1. */
double urd_fountain_rate_p0(const struct urd_fountain_rate *rate);
/* What to remember of this peer, bits/s. */
uint64_t urd_fountain_rate_path_bps(const struct urd_fountain_rate *rate);

#endif
