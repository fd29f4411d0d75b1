/* How a send goes:
 *
 *     challenge -> first report -> [ read and hash -> source symbols -> repair symbols ] -> DONE
 *                                       ^ jobs           ^ bursts, at the pace ^
 *
 * One task owns all of the state.  It waits in one place, its inbox, for datagrams and for jobs
 * that are done, until the pacer's next burst is due.  Blocks are read, hashed and made ready for
 * repair symbols by jobs, so that the clock of the bursts is not held up. */
#include <assert.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/transfer/job_internal.h"
#include "fountain/transfer/link_internal.h"
#include "fountain/transfer/outflow.h"
#include "fountain/transfer/pacer.h"
#include "fountain/transfer/rate.h"
#include "fountain/transfer/transfer.h"

#define WORKERS          2u
#define PLANS_MAX        4u /* different K' of a stream: at most two a full part, two of the last */
#define TICK_NS          UINT64_C(10000000)
#define PROGRESS_NS      UINT64_C(250000000)
#define PROBE_NS         UINT64_C(1000000000) /* while the pace is zero */
#define INBOX_TURN       64u                  /* items taken before the next burst */
#define BURSTS_TURN      4u
#define BYES             3u
#define DIGESTS_TURN     4u /* datagrams of digests in a turn */
#define DIGESTS_AGAIN_NS UINT64_C(30000000)
#define PATIENCE_MIN_NS  UINT64_C(100000000)

enum job_kind { JOB_READ, JOB_CODE, JOB_HASH, JOB_PLAN };

/* A block that the receiver has already: only its digest is wanted. */
struct hash_job {
    struct urd_fountain_job job;
    bool open;
    uint32_t block;
    uint8_t digest[32];
};

struct plan_job {
    struct urd_fountain_job job;
    bool open;
    uint32_t K;
    struct urd_fountain_plan *plan;
};

struct sender {
    const struct urd_fountain_send_options *options;
    struct urd_fountain_layout layout;
    struct urd_fountain_link link;
    struct urd_fountain_jobs jobs;
    struct urd_fountain_outflow outflow;
    struct urd_fountain_rate rate;
    struct urd_fountain_pacer pacer;
    struct hash_job hash;
    struct plan_job plan;
    struct urd_fountain_plan *plans[PLANS_MAX];
    unsigned plans_count;
    uint32_t hash_next; /* blocks below have a digest, or a slot that will give it */
    uint32_t wire_bytes;
    uint64_t began_ns, report_ns, probe_ns, progress_ns;
    uint64_t report_number; /* packet number of the last report taken, plus 1 */
    uint64_t progress_bytes, progress_before_ns;
    uint64_t repair_symbols, opened_bytes;
    bool done, root_put;
    uint32_t digests_next;    /* digests below were sent, or are known to the receiver */
    uint64_t digests_sent_ns; /* when some were sent last */
    bool starved;             /* the pacer allowed a burst, but there was nothing to send */
    const char *doing;        /* for the error message */
};

/* ---- jobs ---- */

static urd_err hash_bytes(const uint8_t *bytes, size_t len, uint8_t ret[static 32])
{
    return crypto_generichash(ret, 32, bytes, len, NULL, 0) == 0 ? URD_OK : URD_E_SYSTEM;
}

static urd_err read_run(struct urd_cx *cx, struct urd_fountain_job *job)
{
    struct sender *s = job->owner;
    struct urd_fountain_slot *slot = (struct urd_fountain_slot *)job;
    const struct urd_fountain_source *source = s->options->source;
    size_t room = (size_t)slot->extent.K * s->layout.symbol_bytes;
    urd_err err =
        source->read(source->impl, cx, slot->extent.offset, slot->bytes, slot->extent.len);
    if (err != URD_OK) return err;
    memset(slot->bytes + slot->extent.len, 0, room - slot->extent.len);
    return hash_bytes(slot->bytes, slot->extent.len, slot->digest);
}

static urd_err code_run(struct urd_cx *cx, struct urd_fountain_job *job)
{
    (void)cx;
    struct sender *s = job->owner;
    struct urd_fountain_slot *slot = (struct urd_fountain_slot *)job;
    if (slot->encoder != NULL && slot->encoder_K != slot->extent.K) {
        urd_fountain_encoder_free(slot->encoder);
        slot->encoder = NULL;
    }
    if (slot->encoder == NULL) {
        urd_err err = urd_fountain_encoder_new(slot->extent.K, s->layout.symbol_bytes, slot->bytes,
                                               slot->plan, &slot->encoder);
        if (err != URD_OK) return err;
        slot->encoder_K = slot->extent.K;
    } else {
        urd_fountain_encoder_reset(slot->encoder, slot->bytes);
    }
    urd_fountain_encoder_prepare(slot->encoder);
    return URD_OK;
}

static urd_err hash_run(struct urd_cx *cx, struct urd_fountain_job *job)
{
    struct sender *s = job->owner;
    struct urd_fountain_extent extent;
    urd_fountain_layout_extent(&s->layout, s->hash.block, &extent);
    uint8_t *bytes = malloc(extent.len);
    if (bytes == NULL) return URD_E_NOMEM;
    const struct urd_fountain_source *source = s->options->source;
    urd_err err = source->read(source->impl, cx, extent.offset, bytes, extent.len);
    if (err == URD_OK) err = hash_bytes(bytes, extent.len, s->hash.digest);
    free(bytes);
    return err;
}

static urd_err plan_run(struct urd_cx *cx, struct urd_fountain_job *job)
{
    (void)cx;
    struct sender *s = job->owner;
    return urd_fountain_plan_new(s->plan.K, &s->plan.plan);
}

static void job_give(struct sender *s, struct urd_fountain_job *job, enum job_kind kind,
                     urd_err (*run)(struct urd_cx *, struct urd_fountain_job *))
{
    job->owner = s;
    job->kind = kind;
    job->run = run;
    urd_fountain_jobs_give(&s->jobs, job);
}

static urd_err digest_put(struct sender *s, uint32_t block, const uint8_t *digest)
{
    urd_err err = urd_fountain_digests_put(s->options->digests, block, digest);
    return err == URD_E_CONFLICT ? URD_E_CHANGED : err;
}

static urd_err job_back(struct sender *s, struct urd_fountain_job *job)
{
    struct urd_fountain_slot *slot = (struct urd_fountain_slot *)job;
    s->jobs.open--;
    if (job->err != URD_OK) {
        s->doing = job->kind == JOB_READ || job->kind == JOB_HASH ? "read the source" : "encode";
        return job->err;
    }
    urd_err err = URD_OK;
    switch ((enum job_kind)job->kind) {
    case JOB_READ:
        err = digest_put(s, slot->block, slot->digest);
        urd_fountain_outflow_ready(slot);
        break;
    case JOB_CODE:
        urd_fountain_outflow_coded(slot);
        break;
    case JOB_HASH:
        s->hash.open = false;
        err = digest_put(s, s->hash.block, s->hash.digest);
        break;
    case JOB_PLAN:
        s->plan.open = false;
        assert(s->plans_count < PLANS_MAX);
        s->plans[s->plans_count++] = s->plan.plan;
        break;
    }
    if (err != URD_OK) s->doing = "read the source again";
    return err;
}

static const struct urd_fountain_plan *plan_for(struct sender *s, uint32_t K)
{
    for (unsigned i = 0; i < s->plans_count; i++)
        if (urd_fountain_plan_fits(s->plans[i], K)) return s->plans[i];
    if (!s->plan.open) {
        s->plan.open = true;
        s->plan.K = K;
        s->plan.plan = NULL;
        job_give(s, &s->plan.job, JOB_PLAN, plan_run);
    }
    return NULL;
}

static urd_err reads_start(struct sender *s)
{
    struct urd_fountain_slot *slot;
    while ((slot = urd_fountain_outflow_open(&s->outflow)) != NULL) {
        if (slot->bytes == NULL)
            slot->bytes = aligned_alloc(
                64, ((size_t)s->layout.block_symbols * s->layout.symbol_bytes + 63) / 64 * 64);
        if (slot->bytes == NULL) return URD_E_NOMEM;
        s->opened_bytes += slot->extent.len;
        job_give(s, &slot->job, JOB_READ, read_run);
    }
    return URD_OK;
}

static void codes_start(struct sender *s)
{
    struct urd_fountain_slot *slot;
    while ((slot = urd_fountain_outflow_wants_code(&s->outflow, s->rate.p)) != NULL) {
        slot->plan = plan_for(s, slot->extent.K);
        if (slot->plan == NULL) return;
        slot->coding = true;
        job_give(s, &slot->job, JOB_CODE, code_run);
    }
}

/* Is @block on its way to a digest through a slot? */
static bool block_listed(const struct sender *s, uint32_t block)
{
    for (uint32_t i = 0; i < s->outflow.report.needs_count; i++)
        if (s->outflow.report.needs[i].block == block) return true;
    return false;
}

/* Digests of blocks that the receiver had before: after a resume nobody else asks for them. */
static void hash_start(struct sender *s)
{
    uint32_t end = s->outflow.reported ? s->outflow.report.window_end : 0;
    while (!s->hash.open && s->hash_next < end) {
        uint32_t block = s->hash_next;
        if (urd_fountain_digests_get(s->options->digests, block) == NULL) {
            if (block_listed(s, block)) return; /* comes with the reading of it */
            s->hash.open = true;
            s->hash.block = block;
            job_give(s, &s->hash.job, JOB_HASH, hash_run);
            return;
        }
        s->hash_next++;
    }
}

static urd_err root_try(struct sender *s)
{
    struct urd_fountain_digests *board = s->options->digests;
    if (s->root_put || urd_fountain_digests_known(board) < s->layout.blocks) return URD_OK;
    uint8_t root[URD_FOUNTAIN_DIGEST_LEN];
    urd_err err = urd_fountain_manifest_root_digest(s->options->manifest,
                                                    urd_fountain_digests_all(board), root);
    if (err == URD_OK) err = urd_fountain_digests_put_root(board, root);
    s->root_put = err == URD_OK;
    return err == URD_E_CONFLICT ? URD_E_CHANGED : err;
}

/* ---- what comes in ---- */

static urd_err report_take(struct sender *s, uint64_t now, const struct urd_fountain_heard *heard)
{
    struct urd_fountain_report report;
    if (urd_fountain_report_decode(heard->opened.payload, heard->opened.payload_len, &report) !=
        URD_OK)
        return URD_OK;                                          /* authentic, but not understood */
    if (heard->opened.number < s->report_number) return URD_OK; /* an older one */
    s->report_number = heard->opened.number + 1;
    s->report_ns = now;

    bool told = (report.flags & URD_FOUNTAIN_REPORT_HEARD) != 0;
    s->doing = "take a report: it counts what was never sent";
    if (told && (report.highest >= s->link.sealer.next || report.received > report.highest + 1))
        return URD_E_INVALID;
    urd_err err = urd_fountain_outflow_report(&s->outflow, &report);
    if (err != URD_OK) return err;
    if (told) urd_fountain_rate_report(&s->rate, now, &report);
    s->done = (report.flags & URD_FOUNTAIN_REPORT_DONE) != 0;
    return URD_OK;
}

static urd_err packet_take(struct urd_cx *cx, struct sender *s, struct urd_fountain_packet *packet)
{
    struct urd_fountain_heard heard;
    urd_err err;
    if (!urd_fountain_link_take(cx, &s->link, packet, &heard, &err)) {
        if (err != URD_OK) s->doing = "open datagrams: too many were forged";
        return err;
    }
    switch (heard.message.type) {
    case URD_FOUNTAIN_MESSAGE_REPORT:
        return report_take(s, packet->arrival_ns, &heard);
    case URD_FOUNTAIN_MESSAGE_CLOSE:
        s->doing = "send: the receiver gave up";
        return heard.message.close == URD_OK ? URD_E_CLOSED : heard.message.close;
    default:
        return URD_OK;
    }
}

/* Wait for something until @until_ns, then take what is there. */
static urd_err inbox_take(struct urd_cx *cx, struct sender *s, uint64_t until_ns)
{
    struct urd_fountain_inbox_item item;
    urd_err err = urd_channel_receive(cx, s->link.inbox, &item, until_ns);
    if (err == URD_E_TIMEOUT) return urd_checkpoint(cx); /* ours, or the budget's? */
    for (unsigned i = 0; err == URD_OK; i++) {
        if (item.kind == URD_FOUNTAIN_INBOX_JOB) {
            err = job_back(s, item.ptr);
        } else {
            err = packet_take(cx, s, item.ptr);
            urd_fountain_hub_packet_free(s->link.hub, item.ptr);
        }
        if (err != URD_OK || i + 1 == INBOX_TURN) break;
        if (urd_channel_try_receive(s->link.inbox, &item) != URD_OK) break;
    }
    return err;
}

/* ---- what goes out ---- */

/* Stage the symbols of @pick; their number, or an error of the encoder. */
static urd_err pick_stage(struct sender *s, uint64_t now, const struct urd_fountain_pick *pick)
{
    uint32_t T = s->layout.symbol_bytes;
    struct urd_fountain_message message = { .type = URD_FOUNTAIN_MESSAGE_DATA,
                                            .symbols_count = 1,
                                            .part = pick->slot->extent.part,
                                            .sbn = pick->slot->extent.sbn };
    for (uint32_t i = 0; i < pick->count; i++) {
        uint8_t *payload = urd_fountain_link_stage(&s->link);
        assert(payload != NULL);
        message.esi = pick->esi + i;
        size_t len = urd_fountain_message_encode(&message, payload);
        if (pick->repair) {
            urd_err err =
                urd_fountain_encoder_symbol(pick->slot->encoder, message.esi, payload + len);
            if (err != URD_OK) return err;
            s->repair_symbols++;
        } else {
            memcpy(payload + len, pick->slot->bytes + (size_t)message.esi * T, T);
        }
        uint64_t number = urd_fountain_link_commit(&s->link, now, len + T);
        urd_fountain_outflow_sent(&s->outflow, pick->slot, number);
    }
    return URD_OK;
}

/* Send one burst of at most @bytes; *@ret_sent: datagrams. */
static urd_err burst_send(struct urd_cx *cx, struct sender *s, uint64_t now, uint32_t bytes,
                          uint32_t *ret_sent)
{
    uint32_t room = bytes / s->wire_bytes, sent = 0;
    if (room == 0) room = 1;
    if (room > URD_FOUNTAIN_BURST_MAX) room = URD_FOUNTAIN_BURST_MAX;
    struct urd_fountain_pick pick;
    while (sent < room && urd_fountain_outflow_pick(&s->outflow, s->rate.p, room - sent, &pick)) {
        urd_err err = pick_stage(s, now, &pick);
        if (err != URD_OK) return err;
        sent += pick.count;
    }
    urd_fountain_pacer_spend(&s->pacer, sent * s->wire_bytes);
    *ret_sent = sent;
    return urd_fountain_link_flush(cx, &s->link);
}

/* Send the digests that the receiver does not have.  What was sent and not confirmed for a while is
 * sent again: they are few, and a transfer must not wait for them at its end. */
static urd_err digests_send(struct urd_cx *cx, struct sender *s)
{
    struct urd_fountain_digests *board = s->options->digests;
    uint64_t now = urd_cx_now(cx), patience = 3 * s->rate.rtt_ns / 2 + DIGESTS_AGAIN_NS;
    uint32_t known = urd_fountain_digests_known(board), has = s->outflow.report.digests;
    if (!s->link.path.validated || !s->outflow.reported || has >= known) return URD_OK;
    if (has > s->digests_next || now - s->digests_sent_ns > patience) s->digests_next = has;
    for (unsigned i = 0; i < DIGESTS_TURN && s->digests_next < known; i++) {
        uint8_t payload[URD_FOUNTAIN_PAYLOAD_MAX], digests[URD_FOUNTAIN_DIGESTS_MAX][32];
        struct urd_fountain_message m = { .type = URD_FOUNTAIN_MESSAGE_DIGESTS,
                                          .digests_first = s->digests_next,
                                          .digests = digests[0] };
        while (m.digests_count < URD_FOUNTAIN_DIGESTS_MAX && s->digests_next < known) {
            uint32_t slot = s->digests_next++;
            const uint8_t *digest = slot == s->layout.blocks
                                        ? urd_fountain_digests_root(board)
                                        : urd_fountain_digests_get(board, slot);
            memcpy(digests[m.digests_count++], digest, 32);
        }
        s->digests_sent_ns = now;
        urd_err err =
            urd_fountain_link_send(cx, &s->link, payload, urd_fountain_message_encode(&m, payload));
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

/* While the pace is zero: one datagram a second, so that an end of the outage is noticed. */
static urd_err probe_send(struct urd_cx *cx, struct sender *s, uint64_t now)
{
    uint32_t sent;
    if (now - s->probe_ns < PROBE_NS) return URD_OK;
    s->probe_ns = now;
    return burst_send(cx, s, now, s->wire_bytes, &sent);
}

static urd_err bursts_send(struct urd_cx *cx, struct sender *s)
{
    for (unsigned i = 0; i < BURSTS_TURN; i++) {
        uint64_t now = urd_cx_now(cx);
        if (!s->link.path.validated || !s->outflow.reported) return URD_OK;
        uint64_t pace = urd_fountain_rate_pace(&s->rate);
        urd_fountain_pacer_set(&s->pacer, now, pace);
        if (pace == 0) return probe_send(cx, s, now);
        uint32_t bytes = urd_fountain_pacer_burst(&s->pacer, now), sent = 0;
        if (bytes == 0) return URD_OK;
        urd_err err = burst_send(cx, s, now, bytes, &sent);
        s->starved = sent == 0;
        if (err == URD_OK && s->starved) {
            urd_fountain_rate_limited(&s->rate, now);
            return URD_OK;
        }
        if (err == URD_OK) err = urd_yield(cx); /* a new turn: others run, the clock goes on */
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

/* ---- the loop ---- */

static uint64_t bytes_finished(const struct sender *s)
{
    const struct urd_fountain_report *r = &s->outflow.report;
    if (!s->outflow.reported || s->layout.blocks == 0) return 0;
    if ((r->flags & URD_FOUNTAIN_REPORT_ENOUGH) != 0) return s->layout.total_bytes;
    uint32_t blocks = r->window_end > r->needs_count ? r->window_end - r->needs_count : 0;
    return (uint64_t)((double)s->layout.total_bytes * blocks / s->layout.blocks);
}

static void progress_tell(struct sender *s, uint64_t now)
{
    if (s->options->progress == NULL || now - s->progress_ns < PROGRESS_NS) return;
    uint64_t bytes = bytes_finished(s), elapsed = now - s->progress_before_ns;
    struct urd_fountain_progress progress = { .bytes = bytes,
                                              .bytes_total = s->layout.total_bytes,
                                              .loss = s->rate.p,
                                              .eta_ns = URD_FOREVER };
    if (bytes >= s->progress_bytes && elapsed > 0)
        progress.rate_bps = (double)(bytes - s->progress_bytes) * 8e9 / (double)elapsed;
    if (progress.rate_bps > 0)
        progress.eta_ns =
            (uint64_t)((double)(s->layout.total_bytes - bytes) * 8e9 / progress.rate_bps);
    s->progress_ns = now;
    if (elapsed > 8 * PROGRESS_NS) { /* of late: the last two seconds or so */
        s->progress_before_ns = now;
        s->progress_bytes = bytes;
    }
    s->options->progress(s->options->progress_arg, &progress);
}

static urd_err tick(struct urd_cx *cx, struct sender *s)
{
    uint64_t now = urd_cx_now(cx), patience = 2 * s->rate.rtt_ns;
    uint64_t idle = s->options->idle_ns ? s->options->idle_ns : URD_FOUNTAIN_IDLE_DEFAULT_NS;
    if (patience < PATIENCE_MIN_NS) patience = PATIENCE_MIN_NS;
    s->doing = "send: the receiver does not answer";
    if (urd_fountain_since(now, s->report_ns) > idle) return URD_E_UNREACHABLE;
    s->doing = "send";
    urd_fountain_rate_tick(&s->rate, now);
    urd_fountain_outflow_tick(&s->outflow, now, patience);
    urd_err err = urd_fountain_link_tick(cx, &s->link);
    if (err == URD_OK) err = digests_send(cx, s);
    if (err == URD_OK) err = reads_start(s);
    if (err != URD_OK) return err;
    codes_start(s);
    hash_start(s);
    progress_tell(s, now);
    return root_try(s);
}

/* When to look again if nothing comes: the next burst, or the next tick. */
static uint64_t next_look(struct urd_cx *cx, const struct sender *s)
{
    uint64_t now = urd_cx_now(cx), next = now + TICK_NS;
    if (s->starved || !s->link.path.validated || !s->outflow.reported) return next;
    uint64_t burst = urd_fountain_pacer_next(&s->pacer, now);
    return burst < next ? burst : next;
}

static urd_err send_loop(struct urd_cx *cx, struct sender *s)
{
    while (!s->done) {
        urd_err err = inbox_take(cx, s, next_look(cx, s));
        if (err == URD_OK) err = tick(cx, s);
        if (err == URD_OK) err = bursts_send(cx, s);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

/* Tell the receiver how it ended; a few times, for datagrams get lost. */
static void bye(struct urd_cx *cx, struct sender *s, urd_err code)
{
    URD_MASK(m);
    urd_mask(cx, m);
    for (unsigned i = 0; i < BYES; i++)
        if (urd_fountain_link_close_send(cx, &s->link, code) != URD_OK) break;
    urd_unmask(cx, m);
}

static uint32_t slots_for(const struct sender *s)
{
    uint64_t window =
        s->options->window_bytes ? s->options->window_bytes : URD_FOUNTAIN_WINDOW_BYTES_DEFAULT;
    uint64_t block = (uint64_t)s->layout.block_symbols * s->layout.symbol_bytes;
    uint64_t slots = window / block;
    if (slots < 2) slots = 2;
    if (slots > s->layout.blocks) slots = s->layout.blocks > 0 ? s->layout.blocks : 1;
    return (uint32_t)(slots > URD_FOUNTAIN_WINDOW_BLOCKS_MAX ? URD_FOUNTAIN_WINDOW_BLOCKS_MAX
                                                             : slots);
}

static urd_err sender_init(struct urd_cx *cx, struct sender *s, struct urd_fountain_hub *hub,
                           const struct urd_fountain_send_options *options)
{
    uint64_t now = urd_cx_now(cx);
    *s = (struct sender){ .options = options,
                          .layout = options->manifest->layout,
                          .began_ns = now,
                          .report_ns = now,
                          .progress_ns = now,
                          .progress_before_ns = now,
                          .doing = "start" };
    s->wire_bytes = s->layout.symbol_bytes + URD_FOUNTAIN_DATA_HEADER_LEN + URD_FOUNTAIN_SEAL_LEN +
                    URD_FOUNTAIN_IP_UDP_LEN;
    urd_fountain_rate_init(&s->rate, &options->rate, now);
    urd_fountain_pacer_init(&s->pacer, now, urd_fountain_rate_pace(&s->rate), s->wire_bytes);
    urd_err err = urd_fountain_outflow_init(&s->outflow, &s->layout, slots_for(s), 0);
    if (err != URD_OK) return err;
    err = urd_fountain_link_open(cx, &s->link, hub, options->agreement, URD_FOUNTAIN_TO_RECEIVER, 0,
                                 &options->peer);
    if (err != URD_OK) goto fail_outflow;
    s->link.keeps_alive = true;
    err = urd_fountain_jobs_init(&s->jobs, s->link.inbox);
    if (err != URD_OK) goto fail_link;
    return URD_OK;

fail_link:
    urd_fountain_link_close(cx, &s->link);
fail_outflow:
    urd_fountain_outflow_done(&s->outflow);
    return err;
}

static void sender_done(struct urd_cx *cx, struct sender *s)
{
    urd_fountain_link_close(cx, &s->link);
    urd_fountain_jobs_done(&s->jobs);
    urd_fountain_outflow_done(&s->outflow);
    if (s->plan.open) urd_fountain_plan_free(s->plan.plan); /* made, but never taken back */
    for (unsigned i = 0; i < s->plans_count; i++)
        urd_fountain_plan_free(s->plans[i]);
}

static void stats_fill(const struct sender *s, uint64_t now, bool finished,
                       struct urd_fountain_stats *ret)
{
    const struct urd_fountain_report *r = &s->outflow.report;
    *ret = (struct urd_fountain_stats){ .bytes = finished || s->opened_bytes < s->layout.total_bytes
                                                     ? s->opened_bytes
                                                     : s->layout.total_bytes,
                                        .datagrams = s->link.datagrams,
                                        .seconds = (double)(now - s->began_ns) / 1e9,
                                        .path_bps = urd_fountain_rate_path_bps(&s->rate),
                                        .rtt_ns = s->rate.rtt_least_ns };
    if (ret->seconds > 0) ret->goodput_bps = (double)ret->bytes * 8 / ret->seconds;
    if (ret->bytes > 0) ret->overhead = (double)s->link.bytes / (double)ret->bytes - 1;
    if (s->outflow.reported && (r->flags & URD_FOUNTAIN_REPORT_HEARD) != 0)
        ret->loss = 1 - (double)r->received / (double)(r->highest + 1);
    const uint8_t *root = urd_fountain_digests_root(s->options->digests);
    if (finished && root != NULL) memcpy(ret->digest, root, sizeof ret->digest);
}

static urd_err sender_run(struct urd_cx *cx, struct sender *s)
{
    static const struct urd_region_options options = { .name = "send" };
    urd_err err;
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) return URD_E_NOMEM;
    err = urd_fountain_jobs_start(cx, &s->jobs, urd_region_scope(r), WORKERS);
    if (err == URD_OK) err = send_loop(cx, s);
    bye(cx, s, err);
    urd_region_close(cx, r, NULL);
    return err;
}

urd_err urd_fountain_send(struct urd_cx *cx, struct urd_fountain_hub *hub,
                          const struct urd_fountain_send_options *options,
                          struct urd_fountain_stats *ret_stats, char *errmsg, size_t errmsg_len)
{
    if (ret_stats != NULL) *ret_stats = (struct urd_fountain_stats){ 0 };
    if (errmsg_len > 0) errmsg[0] = '\0';
    struct sender *s = malloc(sizeof *s);
    if (s == NULL) return URD_E_NOMEM;
    urd_err err = sender_init(cx, s, hub, options);
    if (err == URD_OK) {
        err = sender_run(cx, s);
        if (ret_stats != NULL) stats_fill(s, urd_cx_now(cx), err == URD_OK, ret_stats);
        sender_done(cx, s);
    }
    if (err != URD_OK && errmsg_len > 0)
        (void)snprintf(errmsg, errmsg_len, "%s: %s", s->doing, urd_err_text(err));
    urd_fountain_digests_close(options->digests);
    free(s);
    return err;
}
