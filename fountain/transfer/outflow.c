#include "fountain/transfer/outflow.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY       UINT16_MAX
#define MARK_NS      UINT64_C(5000000)
#define READ_AHEAD   6u    /* blocks read that wait for the pacer: more would only be stale */
#define CODE_LOSS    0.002 /* prepare encoders ahead above this loss */
#define TAIL_SIGMAS  3.0
#define TAIL_SYMBOLS 2.0

urd_err urd_fountain_outflow_init(struct urd_fountain_outflow *outflow,
                                  const struct urd_fountain_layout *layout, uint32_t slots_count,
                                  uint32_t repair_first)
{
    assert(slots_count >= 1 && slots_count < NOBODY);
    *outflow = (struct urd_fountain_outflow){ .layout = *layout,
                                              .slots_count = slots_count,
                                              .repair_first = repair_first };
    outflow->slots = calloc(slots_count, sizeof *outflow->slots);
    outflow->ring = calloc(URD_FOUNTAIN_OUTFLOW_RING, sizeof *outflow->ring);
    if (outflow->slots == NULL || outflow->ring == NULL) {
        urd_fountain_outflow_done(outflow);
        return URD_E_NOMEM;
    }
    return URD_OK;
}

void urd_fountain_outflow_done(struct urd_fountain_outflow *outflow)
{
    for (uint32_t i = 0; outflow->slots != NULL && i < outflow->slots_count; i++) {
        urd_fountain_encoder_free(outflow->slots[i].encoder);
        free(outflow->slots[i].bytes);
    }
    free(outflow->slots);
    free(outflow->ring);
    *outflow = (struct urd_fountain_outflow){ 0 };
}

/* ---- what is on its way ---- */

/* Datagrams below @number are not on their way any more. */
static void ring_advance(struct urd_fountain_outflow *outflow, uint64_t number)
{
    for (; outflow->ring_tail < number && outflow->ring_tail < outflow->ring_head;
         outflow->ring_tail++) {
        uint64_t at = outflow->ring_tail % URD_FOUNTAIN_OUTFLOW_RING;
        if (outflow->ring[at].slot == NOBODY) continue;
        struct urd_fountain_slot *slot = &outflow->slots[outflow->ring[at].slot];
        if (slot->stamp != outflow->ring[at].stamp) continue; /* has another block by now */
        assert(slot->inflight > 0);
        slot->inflight--;
    }
}

void urd_fountain_outflow_sent(struct urd_fountain_outflow *outflow,
                               const struct urd_fountain_slot *slot, uint64_t number)
{
    assert(number >= outflow->ring_head);
    if (number + 1 - outflow->ring_tail > URD_FOUNTAIN_OUTFLOW_RING)
        ring_advance(outflow, number + 1 - URD_FOUNTAIN_OUTFLOW_RING);
    if (outflow->ring_tail == outflow->ring_head) outflow->ring_tail = number;
    for (; outflow->ring_head < number; outflow->ring_head++) /* challenges and the like */
        if (outflow->ring_head >= outflow->ring_tail)
            outflow->ring[outflow->ring_head % URD_FOUNTAIN_OUTFLOW_RING].slot = NOBODY;
    uint64_t at = outflow->ring_head++ % URD_FOUNTAIN_OUTFLOW_RING;
    outflow->ring[at].slot = NOBODY;
    if (slot == NULL) return;
    outflow->ring[at].slot = (uint16_t)(slot - outflow->slots);
    outflow->ring[at].stamp = slot->stamp;
    outflow->slots[slot - outflow->slots].inflight++;
}

void urd_fountain_outflow_tick(struct urd_fountain_outflow *outflow, uint64_t now_ns,
                               uint64_t patience_ns)
{
    while (outflow->marks_tail != outflow->marks_head) {
        uint32_t at = outflow->marks_tail % URD_FOUNTAIN_OUTFLOW_MARKS;
        if (outflow->marks[at].at_ns + patience_ns > now_ns) break;
        ring_advance(outflow, outflow->marks[at].number);
        outflow->marks_tail++;
    }
    uint32_t count = outflow->marks_head - outflow->marks_tail;
    if (count == URD_FOUNTAIN_OUTFLOW_MARKS) return; /* the next tick will do */
    uint32_t last = (outflow->marks_head - 1) % URD_FOUNTAIN_OUTFLOW_MARKS;
    uint64_t apart = patience_ns / (URD_FOUNTAIN_OUTFLOW_MARKS / 2);
    if (apart < MARK_NS) apart = MARK_NS;
    if (count > 0 && now_ns - outflow->marks[last].at_ns < apart) return;
    uint32_t at = outflow->marks_head++ % URD_FOUNTAIN_OUTFLOW_MARKS;
    outflow->marks[at].number = outflow->ring_head;
    outflow->marks[at].at_ns = now_ns;
}

/* ---- slots and reports ---- */

static struct urd_fountain_slot *slot_of(struct urd_fountain_outflow *outflow, uint32_t block)
{
    for (uint32_t i = 0; i < outflow->slots_count; i++)
        if (outflow->slots[i].state != URD_FOUNTAIN_SLOT_FREE && outflow->slots[i].block == block)
            return &outflow->slots[i];
    return NULL;
}

static void slot_free(struct urd_fountain_slot *slot)
{
    if (slot->state == URD_FOUNTAIN_SLOT_READING || slot->coding) {
        slot->gone = true;
        return;
    }
    slot->state = URD_FOUNTAIN_SLOT_FREE;
    slot->stamp++;
    slot->inflight = 0;
    slot->coded = false;
    slot->gone = false;
}

urd_err urd_fountain_outflow_report(struct urd_fountain_outflow *outflow,
                                    const struct urd_fountain_report *report)
{
    if (report->window_end > outflow->layout.blocks) return URD_E_INVALID;
    if ((report->flags & URD_FOUNTAIN_REPORT_HEARD) != 0)
        ring_advance(outflow, report->highest + 1);
    outflow->report = *report;
    outflow->reported = true;
    for (uint32_t i = 0; i < outflow->slots_count; i++)
        outflow->slots[i].listed = false;
    for (uint32_t i = 0; i < report->needs_count; i++) {
        struct urd_fountain_slot *slot = slot_of(outflow, report->needs[i].block);
        if (slot == NULL) continue;
        slot->listed = true;
        slot->need = report->needs[i].need;
    }
    for (uint32_t i = 0; i < outflow->slots_count; i++) {
        struct urd_fountain_slot *slot = &outflow->slots[i];
        if (slot->state != URD_FOUNTAIN_SLOT_FREE && !slot->listed) slot_free(slot);
    }
    return URD_OK;
}

static void slot_assign(struct urd_fountain_outflow *outflow, struct urd_fountain_slot *slot,
                        const struct urd_fountain_need *need)
{
    urd_fountain_layout_extent(&outflow->layout, need->block, &slot->extent);
    slot->state = URD_FOUNTAIN_SLOT_READING;
    slot->block = need->block;
    slot->need = need->need;
    slot->listed = true;
    slot->inflight = 0;
    slot->next_source = 0;
    slot->next_repair = slot->extent.K + outflow->repair_first;
}

struct urd_fountain_slot *urd_fountain_outflow_open(struct urd_fountain_outflow *outflow)
{
    struct urd_fountain_slot *vacant = NULL;
    uint32_t waiting = 0; /* blocks none of whose symbols went yet */
    for (uint32_t i = 0; i < outflow->slots_count; i++) {
        struct urd_fountain_slot *slot = &outflow->slots[i];
        if (slot->state == URD_FOUNTAIN_SLOT_FREE)
            vacant = slot;
        else
            waiting += slot->next_source == 0;
    }
    if (vacant == NULL || !outflow->reported || waiting >= READ_AHEAD) return NULL;
    for (uint32_t i = 0; i < outflow->report.needs_count; i++) {
        const struct urd_fountain_need *need = &outflow->report.needs[i];
        if (need->need == 0 || slot_of(outflow, need->block) != NULL) continue;
        slot_assign(outflow, vacant, need);
        return vacant;
    }
    return NULL;
}

void urd_fountain_outflow_ready(struct urd_fountain_slot *slot)
{
    slot->state = URD_FOUNTAIN_SLOT_READY;
    if (slot->gone) slot_free(slot);
}

void urd_fountain_outflow_coded(struct urd_fountain_slot *slot)
{
    slot->coding = false;
    slot->coded = true;
    if (slot->gone) slot_free(slot);
}

/* ---- what to send ---- */

/* Repair symbols to send now beyond what is on its way; @margin: standard deviations of what the
 * loss may do to those on their way. */
static double lacking(const struct urd_fountain_slot *slot, double p, double sigmas, double more)
{
    if (slot->need == 0 || slot->gone || slot->next_source < slot->extent.K) return 0;
    double arrive = slot->inflight * (1 - p);
    double lack = slot->need - arrive;
    lack += sigmas * sqrt(slot->need * p) + (sigmas > 0 ? more : 0);
    return lack <= 0.25 ? 0 : ceil(lack / (1 - p) - 0.25);
}

struct urd_fountain_slot *urd_fountain_outflow_wants_code(struct urd_fountain_outflow *outflow,
                                                          double p)
{
    struct urd_fountain_slot *first = NULL;
    for (uint32_t i = 0; i < outflow->slots_count; i++) {
        struct urd_fountain_slot *slot = &outflow->slots[i];
        if (slot->state != URD_FOUNTAIN_SLOT_READY || slot->coding || slot->coded || slot->gone)
            continue;
        if (slot->need == 0 || (p < CODE_LOSS && lacking(slot, p, 0, 0) == 0)) continue;
        if (first == NULL || slot->block < first->block) first = slot;
    }
    return first;
}

/* Has every source symbol of the stream gone out at least once? */
static bool at_the_tail(struct urd_fountain_outflow *outflow)
{
    if (outflow->report.window_end < outflow->layout.blocks) return false;
    for (uint32_t i = 0; i < outflow->report.needs_count; i++) {
        const struct urd_fountain_need *need = &outflow->report.needs[i];
        const struct urd_fountain_slot *slot = slot_of(outflow, need->block);
        if (need->need > 0 && (slot == NULL || slot->next_source < slot->extent.K)) return false;
    }
    return true;
}

/* The first block, in order, that lacks repair symbols; how many in *@ret_count. */
static struct urd_fountain_slot *repair_first(struct urd_fountain_outflow *outflow, double p,
                                              double sigmas, uint32_t *ret_count)
{
    struct urd_fountain_slot *first = NULL;
    for (uint32_t i = 0; i < outflow->slots_count; i++) {
        struct urd_fountain_slot *slot = &outflow->slots[i];
        if (slot->state != URD_FOUNTAIN_SLOT_READY || !slot->coded) continue;
        if (first != NULL && slot->block > first->block) continue;
        double lack = lacking(slot, p, sigmas, TAIL_SYMBOLS);
        if (lack < 1) continue;
        first = slot;
        *ret_count = (uint32_t)lack;
    }
    return first;
}

static struct urd_fountain_slot *source_first(struct urd_fountain_outflow *outflow)
{
    struct urd_fountain_slot *first = NULL;
    for (uint32_t i = 0; i < outflow->slots_count; i++) {
        struct urd_fountain_slot *slot = &outflow->slots[i];
        if (slot->state != URD_FOUNTAIN_SLOT_READY || slot->gone || slot->need == 0) continue;
        if (slot->next_source >= slot->extent.K) continue;
        if (first == NULL || slot->block < first->block) first = slot;
    }
    return first;
}

bool urd_fountain_outflow_pick(struct urd_fountain_outflow *outflow, double p, uint32_t max,
                               struct urd_fountain_pick *ret)
{
    uint32_t count = 0;
    if (p > 0.95) p = 0.95;
    struct urd_fountain_slot *slot = repair_first(outflow, p, 0, &count);
    if (slot == NULL) {
        slot = source_first(outflow);
        if (slot != NULL) {
            count = slot->extent.K - slot->next_source;
            if (count > max) count = max;
            *ret = (struct urd_fountain_pick){ slot, slot->next_source, count, false };
            slot->next_source += count;
            return true;
        }
        if (at_the_tail(outflow)) slot = repair_first(outflow, p, TAIL_SIGMAS, &count);
    }
    if (slot == NULL) return false;
    if (count > max) count = max;
    uint32_t esis = URD_FOUNTAIN_ESI_MAX + 1 - slot->next_repair;
    if (count > esis) count = esis;
    if (count == 0) { /* after 16 million symbols of a block: begin again */
        slot->next_repair = slot->extent.K + outflow->repair_first;
        return false;
    }
    *ret = (struct urd_fountain_pick){ slot, slot->next_repair, count, true };
    slot->next_repair += count;
    return true;
}
