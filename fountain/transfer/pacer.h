/* fountain/transfer/pacer.h -- a token clock: how much may be sent now, and when to look again.
 *
 * Credit grows with time at the pace and is spent by sending; it never exceeds what PACER_CREDIT_NS
 * brings, so a sender that was held up does not catch up in one burst.  Pure: time is an argument.
 */
#ifndef FOUNTAIN_TRANSFER_PACER_H
#define FOUNTAIN_TRANSFER_PACER_H

#include <stdint.h>

#define URD_FOUNTAIN_BURST_NS        UINT64_C(1000000) /* a burst is at most so long at the pace */
#define URD_FOUNTAIN_BURST_BYTES_MAX 65000u
#define URD_FOUNTAIN_PACER_CREDIT_NS UINT64_C(4000000)

struct urd_fountain_pacer {
    uint64_t bytes_per_s;
    uint64_t at_ns; /* credit is up to date at this instant */
    int64_t credit; /* bytes; below zero: overdrawn by the last datagram */
    uint32_t unit;  /* bytes of a usual datagram: credit for one is always allowed to gather */
};

/* Start at @now_ns without credit; @unit: bytes of a usual datagram on the wire. */
void urd_fountain_pacer_init(struct urd_fountain_pacer *pacer, uint64_t now_ns,
                             uint64_t bytes_per_s, uint32_t unit);
/* Change the pace from now on. */
void urd_fountain_pacer_set(struct urd_fountain_pacer *pacer, uint64_t now_ns,
                            uint64_t bytes_per_s);
/* Bytes that may go as one burst now: 0, or at least one unit, at most BURST_NS at the pace. */
uint32_t urd_fountain_pacer_burst(struct urd_fountain_pacer *pacer, uint64_t now_ns);
void urd_fountain_pacer_spend(struct urd_fountain_pacer *pacer, uint32_t bytes);
/* When a whole burst may go next; UINT64_MAX: never at this pace. */
uint64_t urd_fountain_pacer_next(const struct urd_fountain_pacer *pacer, uint64_t now_ns);

#endif
