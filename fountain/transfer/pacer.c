#include "fountain/transfer/pacer.h"

#include <assert.h>

#define SECOND_NS UINT64_C(1000000000)

/* Bytes that @ns bring. */
static uint64_t brings(const struct urd_fountain_pacer *pacer, uint64_t ns)
{
    return (uint64_t)((__uint128_t)pacer->bytes_per_s * ns / SECOND_NS);
}

/* A full burst: BURST_NS at the pace, at least a unit, at most BURST_BYTES_MAX. */
static uint64_t burst_bytes(const struct urd_fountain_pacer *pacer)
{
    uint64_t bytes = brings(pacer, URD_FOUNTAIN_BURST_NS);
    if (bytes < pacer->unit) bytes = pacer->unit;
    return bytes > URD_FOUNTAIN_BURST_BYTES_MAX ? URD_FOUNTAIN_BURST_BYTES_MAX : bytes;
}

static void pacer_advance(struct urd_fountain_pacer *pacer, uint64_t now_ns)
{
    if (now_ns <= pacer->at_ns) return;
    uint64_t gain = brings(pacer, now_ns - pacer->at_ns);
    uint64_t most = brings(pacer, URD_FOUNTAIN_PACER_CREDIT_NS);
    if (most < burst_bytes(pacer)) most = burst_bytes(pacer);
    if (gain >= most || pacer->bytes_per_s == 0) {
        gain = gain < most ? gain : most;
        pacer->at_ns = now_ns;
    } else { /* only the time of whole bytes, so that fractions gather */
        pacer->at_ns += (uint64_t)((__uint128_t)gain * SECOND_NS / pacer->bytes_per_s);
    }
    pacer->credit += (int64_t)gain;
    if (pacer->credit > (int64_t)most) pacer->credit = (int64_t)most;
}

void urd_fountain_pacer_init(struct urd_fountain_pacer *pacer, uint64_t now_ns,
                             uint64_t bytes_per_s, uint32_t unit)
{
    assert(unit > 0);
    *pacer =
        (struct urd_fountain_pacer){ .bytes_per_s = bytes_per_s, .at_ns = now_ns, .unit = unit };
}

void urd_fountain_pacer_set(struct urd_fountain_pacer *pacer, uint64_t now_ns, uint64_t bytes_per_s)
{
    pacer_advance(pacer, now_ns);
    pacer->bytes_per_s = bytes_per_s;
}

uint32_t urd_fountain_pacer_burst(struct urd_fountain_pacer *pacer, uint64_t now_ns)
{
    pacer_advance(pacer, now_ns);
    uint64_t whole = burst_bytes(pacer);
    if (pacer->bytes_per_s == 0 || pacer->credit < (int64_t)whole) return 0;
    return (uint32_t)whole;
}

void urd_fountain_pacer_spend(struct urd_fountain_pacer *pacer, uint32_t bytes)
{
    pacer->credit -= bytes;
}

uint64_t urd_fountain_pacer_next(const struct urd_fountain_pacer *pacer, uint64_t now_ns)
{
    if (pacer->bytes_per_s == 0) return UINT64_MAX;
    int64_t lacks = (int64_t)burst_bytes(pacer) - pacer->credit;
    if (lacks <= 0) return now_ns;
    uint64_t wait =
        (uint64_t)(((__uint128_t)lacks * SECOND_NS + pacer->bytes_per_s - 1) / pacer->bytes_per_s);
    uint64_t at = pacer->at_ns + wait;
    return at > now_ns ? at : now_ns;
}
