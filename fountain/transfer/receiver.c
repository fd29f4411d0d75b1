/* How a receive goes:
 *
 *     datagrams -> open -> decoder of the block -> [ solve, hash, write ] -> digest right?
 *                                                       ^ a job ^               |
 *     DONE <- [ finish ] <- root right? <- all finished <- [ commit ] <---------+
 *
 * One task owns all of the state and sends a report every max(RTT / 4, 10 ms); solving, hashing,
 * writing, committing and finishing are jobs.  A block's decoder is made when its first symbol
 * comes and kept until the block is written, so memory is bounded by the window. */
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/codec/fountain.h"
#include "fountain/transfer/intake.h"
#include "fountain/transfer/job_internal.h"
#include "fountain/transfer/link_internal.h"
#include "fountain/transfer/transfer.h"

#define WORKERS           2u
#define REPORT_MIN_NS     UINT64_C(10000000)
#define REPORT_MAX_NS     UINT64_C(250000000) /* whatever a round trip seems to be */
#define REPORT_IDLE_NS    UINT64_C(50000000)  /* while nothing comes */
#define PROGRESS_NS       UINT64_C(250000000)
#define INBOX_TURN        256u
#define COMMIT_BLOCKS_MAX 256u
#define COMMIT_BLOCKS     64u                  /* commit when so many wait, */
#define COMMIT_NS         UINT64_C(500000000)  /* or for so long */
#define LINGER_NS         UINT64_C(2000000000) /* after DONE, for the sender's last word */
#define LINGER_QUIET_NS   UINT64_C(500000000)  /* or when nothing has come for so long */
#define BYES              3u

enum job_kind { JOB_BLOCK, JOB_COMMIT, JOB_FINISH };

/* A block with symbols. */
struct slot {
    struct urd_fountain_job job;
    bool used, busy;
    uint32_t block;
    struct urd_fountain_extent extent;
    struct urd_fountain_decoder *decoder; /* for decoder_K symbols; kept for the next block */
    uint32_t decoder_K;
    uint8_t digest[URD_FOUNTAIN_DIGEST_LEN];
};

struct commit_job {
    struct urd_fountain_job job;
    bool open;
    struct urd_fountain_finished blocks[COMMIT_BLOCKS_MAX];
    uint32_t count;
};

struct finish_job {
    struct urd_fountain_job job;
    bool open, done;
    uint8_t root[URD_FOUNTAIN_DIGEST_LEN];
};

struct receiver {
    const struct urd_fountain_receive_options *options;
    struct urd_fountain_layout layout;
    struct urd_fountain_link link;
    struct urd_fountain_jobs jobs;
    struct urd_fountain_intake intake;
    struct slot *slots;
    uint32_t slots_count;
    struct commit_job commit;
    struct finish_job finish;
    uint64_t began_ns, heard_ns, commit_ns, report_due_ns, progress_ns, done_ns;
    bool report_now, report_fresh; /* something came since the last one */
    uint8_t told;                  /* flags of the last report */
    bool left;                     /* the sender said good-bye */
    /* for the report: the newest datagram, and the least relative delay since the last two */
    uint64_t newest_number, newest_ns;
    uint32_t newest_time_us, delay_us, delay_before_us;
    bool heard, delay_set, delay_before_set;
    uint64_t data_datagrams, spare_symbols;
    uint64_t progress_bytes, progress_before_ns;
    const char *doing;
};

/* ---- jobs ---- */

static urd_err block_run(struct urd_cx *cx, struct urd_fountain_job *job)
{
    struct receiver *v = job->owner;
    struct slot *slot = (struct slot *)job;
    const struct urd_fountain_sink *sink = v->options->sink;
    urd_err err = urd_fountain_decoder_solve(slot->decoder);
    if (err != URD_OK) return err;
    const uint8_t *bytes = urd_fountain_decoder_source(slot->decoder);
    if (crypto_generichash(slot->digest, sizeof slot->digest, bytes, slot->extent.len, NULL, 0))
        return URD_E_SYSTEM;
    err = sink->write(sink->impl, cx, slot->extent.offset, bytes, slot->extent.len);
    return err == URD_E_SHORT ? URD_E_IO : err; /* SHORT is the decoder's word alone */
}

static urd_err commit_run(struct urd_cx *cx, struct urd_fountain_job *job)
{
    struct receiver *v = job->owner;
    const struct urd_fountain_sink *sink = v->options->sink;
    return sink->commit(sink->impl, cx, v->commit.blocks, v->commit.count);
}

static urd_err finish_run(struct urd_cx *cx, struct urd_fountain_job *job)
{
    struct receiver *v = job->owner;
    const struct urd_fountain_sink *sink = v->options->sink;
    return sink->finish(sink->impl, cx, v->finish.root);
}

static void job_give(struct receiver *v, struct urd_fountain_job *job, enum job_kind kind,
                     urd_err (*run)(struct urd_cx *, struct urd_fountain_job *))
{
    job->owner = v;
    job->kind = kind;
    job->run = run;
    urd_fountain_jobs_give(&v->jobs, job);
}

static urd_err block_back(struct receiver *v, struct slot *slot)
{
    struct urd_fountain_intake_open *entry = urd_fountain_intake_find(&v->intake, slot->block);
    assert(entry != NULL && entry->slot == slot);
    slot->busy = false;
    if (slot->job.err == URD_E_SHORT) { /* about once in 200: a few symbols more */
        entry->need = (uint16_t)urd_fountain_decoder_missing(slot->decoder);
        v->report_now = true;
        return URD_OK;
    }
    if (slot->job.err != URD_OK) return slot->job.err;
    slot->used = false;
    urd_fountain_intake_written(&v->intake, entry, slot->digest);
    if (v->intake.written == v->layout.blocks) v->report_now = true;
    return URD_OK;
}

static urd_err job_back(struct receiver *v, struct urd_fountain_job *job)
{
    v->jobs.open--;
    switch ((enum job_kind)job->kind) {
    case JOB_BLOCK:
        v->doing = "write a block";
        return block_back(v, (struct slot *)job);
    case JOB_COMMIT:
        v->doing = "make blocks durable";
        v->commit.open = false;
        if (job->err == URD_OK)
            urd_fountain_intake_committed(&v->intake, v->commit.blocks, v->commit.count);
        return job->err;
    case JOB_FINISH:
        v->doing = "put the files into place";
        v->finish.open = false;
        v->finish.done = job->err == URD_OK;
        v->report_now = true;
        return job->err;
    }
    return URD_OK;
}

static void commit_start(struct receiver *v, uint64_t now)
{
    uint32_t waiting = v->intake.right_count;
    if (v->commit.open || waiting == 0) {
        if (waiting == 0) v->commit_ns = now;
        return;
    }
    bool last = v->intake.finished + waiting == v->layout.blocks;
    if (!last && waiting < COMMIT_BLOCKS && now - v->commit_ns < COMMIT_NS) return;
    v->commit_ns = now;
    v->commit.open = true;
    v->commit.count =
        urd_fountain_intake_take_right(&v->intake, v->commit.blocks, COMMIT_BLOCKS_MAX);
    job_give(v, &v->commit.job, JOB_COMMIT, commit_run);
}

static urd_err finish_start(struct receiver *v)
{
    if (v->finish.open || v->finish.done || v->intake.finished < v->layout.blocks) return URD_OK;
    const uint8_t *root = urd_fountain_digests_root(v->options->digests);
    if (root == NULL) return URD_OK; /* on its way over RPC */
    v->doing = "check the root digest";
    urd_err err = urd_fountain_manifest_root_digest(
        v->options->manifest, (const uint8_t *)v->intake.digests, v->finish.root);
    if (err != URD_OK) return err;
    if (memcmp(root, v->finish.root, sizeof v->finish.root) != 0) return URD_E_CORRUPT;
    v->finish.open = true;
    job_give(v, &v->finish.job, JOB_FINISH, finish_run);
    return URD_OK;
}

/* ---- what comes in ---- */

/* The slot of @entry, with a decoder; NULL: out of memory. */
static struct slot *slot_for(struct receiver *v, struct urd_fountain_intake_open *entry)
{
    if (entry->slot != NULL) return entry->slot;
    struct urd_fountain_extent extent;
    urd_fountain_layout_extent(&v->layout, entry->block, &extent);
    struct slot *vacant = NULL; /* rather one whose decoder fits */
    for (uint32_t i = 0; i < v->slots_count; i++) {
        struct slot *slot = &v->slots[i];
        if (slot->used) continue;
        if (vacant == NULL || slot->decoder_K == extent.K) vacant = slot;
        if (slot->decoder_K == extent.K) break;
    }
    assert(vacant != NULL); /* as many slots as open blocks */
    if (vacant->decoder_K == extent.K) {
        urd_fountain_decoder_reset(vacant->decoder);
    } else {
        urd_fountain_decoder_free(vacant->decoder);
        vacant->decoder = NULL;
        vacant->decoder_K = 0;
        if (urd_fountain_decoder_new(extent.K, v->layout.symbol_bytes, &vacant->decoder) != URD_OK)
            return NULL;
        vacant->decoder_K = extent.K;
    }
    vacant->used = true;
    vacant->busy = false;
    vacant->block = entry->block;
    vacant->extent = extent;
    entry->slot = vacant;
    return vacant;
}

static urd_err data_take(struct receiver *v, const struct urd_fountain_message *data)
{
    uint32_t block;
    v->data_datagrams++;
    if (urd_fountain_layout_block(&v->layout, data->part, data->sbn, &block) != URD_OK)
        return URD_OK; /* no such block: a confused sender, and nothing to be done */
    struct urd_fountain_intake_open *entry = urd_fountain_intake_find(&v->intake, block);
    if (entry == NULL || entry->need == 0) {
        v->spare_symbols += data->symbols_count;
        return URD_OK;
    }
    struct slot *slot = slot_for(v, entry);
    if (slot == NULL) return URD_E_NOMEM;
    uint32_t T = v->layout.symbol_bytes;
    for (uint32_t i = 0; i < data->symbols_count; i++) {
        urd_err err = urd_fountain_decoder_add(slot->decoder, data->esi + i,
                                               data->symbols + (size_t)i * T, T);
        if (err != URD_OK && err != URD_E_FULL) return err;
    }
    uint32_t missing = urd_fountain_decoder_missing(slot->decoder);
    if (missing >= entry->need) v->spare_symbols += data->symbols_count;
    entry->need = (uint16_t)missing;
    if (missing > 0) return URD_OK;
    slot->busy = true;
    job_give(v, &slot->job, JOB_BLOCK, block_run);
    return URD_OK;
}

static urd_err digests_take(struct receiver *v, const struct urd_fountain_message *m)
{
    struct urd_fountain_digests *board = v->options->digests;
    urd_err err = URD_OK;
    v->doing = "take digests: the sender contradicts itself";
    for (uint32_t i = 0; err == URD_OK && i < m->digests_count; i++) {
        const uint8_t *digest = m->digests + (size_t)i * URD_FOUNTAIN_DIGEST_LEN;
        uint64_t slot = (uint64_t)m->digests_first + i;
        if (slot == v->layout.blocks)
            err = urd_fountain_digests_put_root(board, digest);
        else if (slot < v->layout.blocks)
            err = urd_fountain_digests_put(board, (uint32_t)slot, digest);
        else
            err = URD_E_INVALID;
    }
    return err == URD_E_CONFLICT ? URD_E_CHANGED : err;
}

static void arrival_note(struct receiver *v, const struct urd_fountain_packet *packet,
                         const struct urd_fountain_opened *opened)
{
    uint32_t delay = urd_fountain_us(packet->arrival_ns) - opened->time_us;
    if (!v->delay_set || (int32_t)(delay - v->delay_us) < 0) v->delay_us = delay;
    v->delay_set = true;
    v->report_fresh = true;
    if (!opened->newest) return;
    v->heard = true;
    v->newest_number = opened->number;
    v->newest_ns = packet->arrival_ns;
    v->newest_time_us = opened->time_us;
}

static urd_err packet_take(struct urd_cx *cx, struct receiver *v,
                           struct urd_fountain_packet *packet)
{
    struct urd_fountain_heard heard;
    urd_err err;
    uint64_t accepted = v->link.opener.accepted;
    bool something = urd_fountain_link_take(cx, &v->link, packet, &heard, &err);
    if (v->link.opener.accepted > accepted) {
        if (!v->heard) v->report_now = true; /* tell the sender at once that it is heard */
        v->heard_ns = packet->arrival_ns;
        arrival_note(v, packet, &heard.opened);
    }
    if (!something) {
        if (err != URD_OK) v->doing = "open datagrams: too many were forged";
        return err;
    }
    if (heard.message.type == URD_FOUNTAIN_MESSAGE_DATA) {
        v->doing = "decode";
        return data_take(v, &heard.message);
    }
    if (heard.message.type == URD_FOUNTAIN_MESSAGE_DIGESTS) return digests_take(v, &heard.message);
    if (heard.message.type == URD_FOUNTAIN_MESSAGE_CLOSE) {
        v->left = true;
        v->doing = "receive: the sender gave up";
        if (v->finish.done) return URD_OK;
        return heard.message.close == URD_OK ? URD_E_CLOSED : heard.message.close;
    }
    return URD_OK;
}

/* Wait for something until @until_ns, then take what is there. */
static urd_err inbox_take(struct urd_cx *cx, struct receiver *v, uint64_t until_ns)
{
    struct urd_fountain_inbox_item item;
    urd_err err = urd_channel_receive(cx, v->link.inbox, &item, until_ns);
    if (err == URD_E_TIMEOUT) return urd_checkpoint(cx); /* ours, or the budget's? */
    for (unsigned i = 0; err == URD_OK; i++) {
        if (item.kind == URD_FOUNTAIN_INBOX_JOB) {
            err = job_back(v, item.ptr);
        } else {
            err = packet_take(cx, v, item.ptr);
            urd_fountain_hub_packet_free(v->link.hub, item.ptr);
        }
        if (err != URD_OK || i + 1 == INBOX_TURN) break;
        if (urd_channel_try_receive(v->link.inbox, &item) != URD_OK) break;
    }
    return err == URD_OK ? urd_yield(cx) : err;
}

/* ---- what goes out ---- */

static uint64_t report_interval(const struct receiver *v)
{
    uint64_t interval = v->link.path.rtt_ns / 4;
    if (interval < REPORT_MIN_NS) interval = REPORT_MIN_NS;
    if (interval > REPORT_MAX_NS) interval = REPORT_MAX_NS;
    if (!v->report_fresh && interval < REPORT_IDLE_NS) interval = REPORT_IDLE_NS;
    return interval;
}

static urd_err report_send(struct urd_cx *cx, struct receiver *v, uint64_t now)
{
    struct urd_fountain_report report = { 0 };
    uint8_t payload[URD_FOUNTAIN_REPORT_LEN_MAX];
    if (v->heard) {
        report.flags |= URD_FOUNTAIN_REPORT_HEARD;
        report.highest = v->newest_number;
        report.received = v->link.opener.accepted;
        report.bytes = v->link.opener.bytes;
        report.newest_us = urd_fountain_us(v->newest_ns);
        report.echo_us = v->newest_time_us;
        report.hold_us = urd_fountain_us(urd_fountain_since(now, v->newest_ns));
        /* the least since the last report but one: losing a report loses nothing */
        report.delay_us = v->delay_set ? v->delay_us : v->delay_before_us;
        if (v->delay_before_set && (int32_t)(v->delay_before_us - report.delay_us) < 0)
            report.delay_us = v->delay_before_us;
    }
    urd_fountain_intake_report(&v->intake, &report);
    report.digests = urd_fountain_digests_known(v->options->digests);
    if (v->finish.done) report.flags |= URD_FOUNTAIN_REPORT_DONE;
    if (v->delay_set) v->delay_before_us = v->delay_us;
    v->delay_before_set = v->delay_set;
    v->delay_set = false;
    v->report_now = false;
    v->report_due_ns = now + report_interval(v);
    v->report_fresh = false;
    v->told = report.flags;
    return urd_fountain_link_send(cx, &v->link, payload,
                                  urd_fountain_report_encode(&report, payload));
}

/* ---- the loop ---- */

static void progress_tell(struct receiver *v, uint64_t now, bool last)
{
    uint64_t bytes = v->intake.bytes_written, elapsed = now - v->progress_before_ns;
    if (v->options->progress == NULL || (!last && now - v->progress_ns < PROGRESS_NS)) return;
    struct urd_fountain_progress progress = { .bytes = bytes,
                                              .bytes_total = v->layout.total_bytes,
                                              .eta_ns = URD_FOREVER };
    if (v->heard)
        progress.loss = 1 - (double)v->link.opener.accepted / (double)(v->newest_number + 1);
    if (bytes >= v->progress_bytes && elapsed > 0)
        progress.rate_bps = (double)(bytes - v->progress_bytes) * 8e9 / (double)elapsed;
    if (progress.rate_bps > 0)
        progress.eta_ns =
            (uint64_t)((double)(v->layout.total_bytes - bytes) * 8e9 / progress.rate_bps);
    v->progress_ns = now;
    if (elapsed > 8 * PROGRESS_NS) {
        v->progress_before_ns = now;
        v->progress_bytes = bytes;
    }
    v->options->progress(v->options->progress_arg, &progress);
}

static uint64_t idle_limit(const struct receiver *v)
{
    return v->options->idle_ns ? v->options->idle_ns : URD_FOUNTAIN_IDLE_DEFAULT_NS;
}

static urd_err tick(struct urd_cx *cx, struct receiver *v)
{
    uint64_t now = urd_cx_now(cx);
    v->doing = "receive: the sender does not answer";
    if (!v->finish.open && !v->finish.done && urd_fountain_since(now, v->heard_ns) > idle_limit(v))
        return URD_E_UNREACHABLE;
    v->doing = "check blocks against their digests";
    urd_err err = urd_fountain_intake_verify(&v->intake, v->options->digests);
    if (err != URD_OK) return err;
    commit_start(v, now);
    err = finish_start(v);
    if (err != URD_OK) return err;
    v->doing = "receive";
    if (now >= v->report_due_ns || v->report_now) err = report_send(cx, v, now);
    if (err == URD_OK) err = urd_fountain_link_tick(cx, &v->link);
    progress_tell(v, now, false);
    return err;
}

/* Has the sender heard that it is done?  It says good-bye; if that is lost, time tells. */
static bool parted(struct receiver *v, uint64_t now)
{
    if (!v->finish.done) return false;
    if (!v->heard) return now - v->began_ns > idle_limit(v); /* nobody to tell it to yet */
    if (v->done_ns == 0) v->done_ns = now;
    uint64_t heard = v->heard_ns > v->done_ns ? v->heard_ns : v->done_ns;
    return v->left || now - v->done_ns > LINGER_NS ||
           urd_fountain_since(now, heard) > LINGER_QUIET_NS;
}

static urd_err receive_loop(struct urd_cx *cx, struct receiver *v)
{
    while (!parted(v, urd_cx_now(cx))) {
        urd_err err = tick(cx, v);
        if (err == URD_OK) err = inbox_take(cx, v, v->report_due_ns);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static void bye(struct urd_cx *cx, struct receiver *v, urd_err code)
{
    URD_MASK(m);
    urd_mask(cx, m);
    for (unsigned i = 0; i < BYES; i++)
        if (urd_fountain_link_close_send(cx, &v->link, code) != URD_OK) break;
    urd_unmask(cx, m);
}

static uint32_t slots_for(const struct receiver *v)
{
    uint64_t window =
        v->options->window_bytes ? v->options->window_bytes : URD_FOUNTAIN_WINDOW_BYTES_DEFAULT;
    uint64_t slots = window / ((uint64_t)v->layout.block_symbols * v->layout.symbol_bytes);
    if (slots < 2) slots = 2;
    if (slots > v->layout.blocks) slots = v->layout.blocks > 0 ? v->layout.blocks : 1;
    return (uint32_t)(slots > URD_FOUNTAIN_WINDOW_BLOCKS_MAX ? URD_FOUNTAIN_WINDOW_BLOCKS_MAX
                                                             : slots);
}

static urd_err receiver_init(struct urd_cx *cx, struct receiver *v, struct urd_fountain_hub *hub,
                             const struct urd_fountain_receive_options *options)
{
    uint64_t now = urd_cx_now(cx);
    *v = (struct receiver){ .options = options,
                            .layout = options->manifest->layout,
                            .began_ns = now,
                            .heard_ns = now,
                            .commit_ns = now,
                            .progress_ns = now,
                            .progress_before_ns = now,
                            .report_now = true,
                            .doing = "start" };
    v->slots_count = slots_for(v);
    v->slots = calloc(v->slots_count, sizeof *v->slots);
    if (v->slots == NULL) return URD_E_NOMEM;
    urd_err err = urd_fountain_intake_init(&v->intake, &v->layout, v->slots_count,
                                           options->finished, options->finished_count);
    if (err != URD_OK) goto fail_slots;
    v->progress_bytes = v->intake.bytes_written;
    err = urd_fountain_link_open(cx, &v->link, hub, options->agreement, URD_FOUNTAIN_TO_SENDER,
                                 v->layout.symbol_bytes, &options->peer);
    if (err != URD_OK) goto fail_intake;
    err = urd_fountain_jobs_init(&v->jobs, v->link.inbox);
    if (err != URD_OK) goto fail_link;
    return URD_OK;

fail_link:
    urd_fountain_link_close(cx, &v->link);
fail_intake:
    urd_fountain_intake_done(&v->intake);
fail_slots:
    free(v->slots);
    return err;
}

static void receiver_done(struct urd_cx *cx, struct receiver *v)
{
    urd_fountain_link_close(cx, &v->link);
    urd_fountain_jobs_done(&v->jobs);
    urd_fountain_intake_done(&v->intake);
    for (uint32_t i = 0; i < v->slots_count; i++)
        urd_fountain_decoder_free(v->slots[i].decoder);
    free(v->slots);
}

static void stats_fill(const struct receiver *v, uint64_t now, bool finished,
                       struct urd_fountain_stats *ret)
{
    uint64_t end = v->done_ns != 0 ? v->done_ns : now; /* the good-bye does not count */
    *ret = (struct urd_fountain_stats){ .bytes = v->intake.bytes_written - v->intake.bytes_before,
                                        .datagrams = v->data_datagrams,
                                        .symbols_spare = v->spare_symbols,
                                        .seconds = (double)(end - v->began_ns) / 1e9,
                                        .rtt_ns = v->link.path.rtt_ns };
    if (ret->seconds > 0) ret->goodput_bps = (double)ret->bytes * 8 / ret->seconds;
    if (ret->bytes > 0) ret->overhead = (double)v->link.opener.bytes / (double)ret->bytes - 1;
    if (v->heard) ret->loss = 1 - (double)v->link.opener.accepted / (double)(v->newest_number + 1);
    if (finished) memcpy(ret->digest, v->finish.root, sizeof ret->digest);
}

static urd_err receiver_run(struct urd_cx *cx, struct receiver *v)
{
    static const struct urd_region_options options = { .name = "receive" };
    urd_err err;
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) return URD_E_NOMEM;
    err = urd_fountain_jobs_start(cx, &v->jobs, urd_region_scope(r), WORKERS);
    if (err == URD_OK) err = receive_loop(cx, v);
    if (v->finish.done) err = URD_OK; /* a cancel after that is too late to undo it */
    if (err != URD_OK && !v->left) bye(cx, v, err);
    urd_region_close(cx, r, NULL);
    return err;
}

urd_err urd_fountain_receive(struct urd_cx *cx, struct urd_fountain_hub *hub,
                             const struct urd_fountain_receive_options *options,
                             struct urd_fountain_stats *ret_stats, char *errmsg, size_t errmsg_len)
{
    if (ret_stats != NULL) *ret_stats = (struct urd_fountain_stats){ 0 };
    if (errmsg_len > 0) errmsg[0] = '\0';
    struct receiver *v = malloc(sizeof *v);
    if (v == NULL) return URD_E_NOMEM;
    urd_err err = receiver_init(cx, v, hub, options);
    const char *doing = v->doing;
    if (err == URD_OK) {
        err = receiver_run(cx, v);
        uint64_t now = urd_cx_now(cx);
        progress_tell(v, now, true);
        if (ret_stats != NULL) stats_fill(v, now, err == URD_OK, ret_stats);
        doing = v->doing;
        receiver_done(cx, v);
    }
    if (err != URD_OK && errmsg_len > 0)
        (void)snprintf(errmsg, errmsg_len, "%s: %s", doing, urd_err_text(err));
    free(v);
    return err;
}
