#include "fountain/transfer/report.h"

#include <assert.h>

#include "fountain/transfer/datagram.h"
#include "fountain/transfer/wire_internal.h"

#define FLAGS_ALL                                                                                  \
    (URD_FOUNTAIN_REPORT_HEARD | URD_FOUNTAIN_REPORT_ENOUGH | URD_FOUNTAIN_REPORT_DONE)

_Static_assert(URD_FOUNTAIN_REPORT_LEN_MAX <= URD_FOUNTAIN_PAYLOAD_MAX, "a report fits");

size_t urd_fountain_report_encode(const struct urd_fountain_report *report, uint8_t *ret)
{
    assert(report->needs_count <= URD_FOUNTAIN_WINDOW_BLOCKS_MAX);
    struct wire_writer w = { .bytes = ret, .cap = URD_FOUNTAIN_REPORT_LEN_MAX };
    wire_put_uint(&w, URD_FOUNTAIN_MESSAGE_REPORT, 1);
    wire_put_uint(&w, report->flags, 1);
    wire_put_uint(&w, report->needs_count, 1);
    wire_put_uint(&w, 0, 1);
    wire_put_uint(&w, report->highest, 8);
    wire_put_uint(&w, report->received, 8);
    wire_put_uint(&w, report->bytes, 8);
    wire_put_uint(&w, report->newest_us, 4);
    wire_put_uint(&w, report->echo_us, 4);
    wire_put_uint(&w, report->hold_us, 4);
    wire_put_uint(&w, report->delay_us, 4);
    wire_put_uint(&w, report->window_end, 4);
    wire_put_uint(&w, report->digests, 4);
    assert(w.len == URD_FOUNTAIN_REPORT_HEADER_LEN);
    for (unsigned i = 0; i < report->needs_count; i++) {
        wire_put_uint(&w, report->needs[i].block, 4);
        wire_put_uint(&w, report->needs[i].need, 2);
    }
    return w.len;
}

static urd_err needs_decode(struct wire_reader *r, struct urd_fountain_report *report)
{
    for (unsigned i = 0; i < report->needs_count; i++) {
        struct urd_fountain_need *n = &report->needs[i];
        n->block = (uint32_t)wire_take_uint(r, 4);
        n->need = (uint16_t)wire_take_uint(r, 2);
        if (r->short_) return URD_E_SHORT;
        if (n->block >= report->window_end) return URD_E_INVALID;
        if (i > 0 && n->block <= report->needs[i - 1].block) return URD_E_INVALID;
    }
    return wire_left(r) > 0 ? URD_E_INVALID : URD_OK;
}

urd_err urd_fountain_report_decode(const uint8_t *payload, size_t payload_len,
                                   struct urd_fountain_report *ret)
{
    struct wire_reader r = { .bytes = payload, .len = payload_len };
    struct urd_fountain_report report = { 0 };
    uint8_t type = (uint8_t)wire_take_uint(&r, 1);
    report.flags = (uint8_t)wire_take_uint(&r, 1);
    report.needs_count = (uint8_t)wire_take_uint(&r, 1);
    uint8_t zero = (uint8_t)wire_take_uint(&r, 1);
    report.highest = wire_take_uint(&r, 8);
    report.received = wire_take_uint(&r, 8);
    report.bytes = wire_take_uint(&r, 8);
    report.newest_us = (uint32_t)wire_take_uint(&r, 4);
    report.echo_us = (uint32_t)wire_take_uint(&r, 4);
    report.hold_us = (uint32_t)wire_take_uint(&r, 4);
    report.delay_us = (uint32_t)wire_take_uint(&r, 4);
    report.window_end = (uint32_t)wire_take_uint(&r, 4);
    report.digests = (uint32_t)wire_take_uint(&r, 4);
    if (r.short_) return URD_E_SHORT;
    if (type != URD_FOUNTAIN_MESSAGE_REPORT || zero != 0) return URD_E_INVALID;
    if ((report.flags & ~FLAGS_ALL) != 0) return URD_E_INVALID;
    if (report.needs_count > URD_FOUNTAIN_WINDOW_BLOCKS_MAX) return URD_E_INVALID;
    urd_err err = needs_decode(&r, &report);
    if (err == URD_OK) *ret = report;
    return err;
}
