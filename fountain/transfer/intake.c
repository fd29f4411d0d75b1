#include "fountain/transfer/intake.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STATE_MASK     3u
#define JOURNALLED     4u /* finished in an earlier session: needs no commit */
#define TRIES_SHIFT    4u
#define STATE_OF(byte) ((enum urd_fountain_block_state)((byte)&STATE_MASK))

static void state_set(struct urd_fountain_intake *intake, uint32_t block,
                      enum urd_fountain_block_state state)
{
    intake->states[block] = (uint8_t)((intake->states[block] & ~STATE_MASK) | state);
}

static struct urd_fountain_extent extent_of(const struct urd_fountain_intake *intake,
                                            uint32_t block)
{
    struct urd_fountain_extent extent;
    urd_fountain_layout_extent(&intake->layout, block, &extent);
    return extent;
}

/* Put @block into the window, in its place. */
static void open_insert(struct urd_fountain_intake *intake, uint32_t block)
{
    assert(intake->open_count < intake->open_max);
    uint32_t at = intake->open_count++;
    for (; at > 0 && intake->open[at - 1].block > block; at--)
        intake->open[at] = intake->open[at - 1];
    intake->open[at] =
        (struct urd_fountain_intake_open){ .block = block,
                                           .need = (uint16_t)extent_of(intake, block).K };
}

/* Open blocks that turned out wrong, then new ones, until the window is full. */
static void window_fill(struct urd_fountain_intake *intake)
{
    for (uint32_t block = 0; intake->wrong_count > 0 && intake->open_count < intake->open_max;
         block++) {
        assert(block < intake->window_end);
        if (STATE_OF(intake->states[block]) != URD_FOUNTAIN_BLOCK_MISSING) continue;
        if (urd_fountain_intake_find(intake, block) != NULL) continue;
        open_insert(intake, block);
        intake->wrong_count--;
    }
    while (intake->window_end < intake->layout.blocks && intake->open_count < intake->open_max) {
        uint32_t block = intake->window_end++;
        if (STATE_OF(intake->states[block]) == URD_FOUNTAIN_BLOCK_MISSING)
            open_insert(intake, block);
    }
    while (intake->window_end < intake->layout.blocks &&
           STATE_OF(intake->states[intake->window_end]) != URD_FOUNTAIN_BLOCK_MISSING)
        intake->window_end++;
}

static void block_written(struct urd_fountain_intake *intake, uint32_t block, const uint8_t *digest)
{
    memcpy(intake->digests[block], digest, URD_FOUNTAIN_DIGEST_LEN);
    state_set(intake, block, URD_FOUNTAIN_BLOCK_WRITTEN);
    intake->unverified[intake->unverified_count++] = block;
    intake->verified_known = UINT32_MAX; /* look at the board again */
    intake->written++;
    intake->bytes_written += extent_of(intake, block).len;
}

static urd_err finished_take(struct urd_fountain_intake *intake,
                             const struct urd_fountain_finished *finished, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t block = finished[i].block;
        if (block >= intake->layout.blocks) return URD_E_INVALID;
        if (STATE_OF(intake->states[block]) != URD_FOUNTAIN_BLOCK_MISSING) {
            /* journalled twice (it was wrong once): the later word counts */
            memcpy(intake->digests[block], finished[i].digest, URD_FOUNTAIN_DIGEST_LEN);
            continue;
        }
        intake->states[block] = JOURNALLED;
        block_written(intake, block, finished[i].digest);
    }
    intake->bytes_before = intake->bytes_written;
    return URD_OK;
}

urd_err urd_fountain_intake_init(struct urd_fountain_intake *intake,
                                 const struct urd_fountain_layout *layout, uint32_t open_max,
                                 const struct urd_fountain_finished *finished,
                                 uint32_t finished_count)
{
    assert(open_max >= 1 && open_max <= URD_FOUNTAIN_WINDOW_BLOCKS_MAX);
    *intake = (struct urd_fountain_intake){ .layout = *layout, .open_max = open_max };
    size_t blocks = layout->blocks > 0 ? layout->blocks : 1;
    intake->states = calloc(blocks, sizeof *intake->states);
    intake->digests = calloc(blocks, sizeof *intake->digests);
    intake->unverified = calloc(blocks, sizeof *intake->unverified);
    intake->right = calloc(blocks, sizeof *intake->right);
    urd_err err = URD_E_NOMEM;
    if (intake->states == NULL || intake->digests == NULL || intake->unverified == NULL ||
        intake->right == NULL)
        goto fail;
    err = finished_take(intake, finished, finished_count);
    if (err != URD_OK) goto fail;
    window_fill(intake);
    return URD_OK;

fail:
    urd_fountain_intake_done(intake);
    return err;
}

void urd_fountain_intake_done(struct urd_fountain_intake *intake)
{
    free(intake->states);
    free(intake->digests);
    free(intake->unverified);
    free(intake->right);
    *intake = (struct urd_fountain_intake){ 0 };
}

struct urd_fountain_intake_open *urd_fountain_intake_find(struct urd_fountain_intake *intake,
                                                          uint32_t block)
{
    uint32_t low = 0, high = intake->open_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (intake->open[mid].block < block)
            low = mid + 1;
        else
            high = mid;
    }
    return low < intake->open_count && intake->open[low].block == block ? &intake->open[low] : NULL;
}

void urd_fountain_intake_written(struct urd_fountain_intake *intake,
                                 struct urd_fountain_intake_open *entry,
                                 const uint8_t digest[static URD_FOUNTAIN_DIGEST_LEN])
{
    uint32_t at = (uint32_t)(entry - intake->open), block = entry->block;
    assert(at < intake->open_count);
    memmove(entry, entry + 1, (intake->open_count - at - 1) * sizeof *entry);
    intake->open_count--;
    block_written(intake, block, digest);
    window_fill(intake);
}

static urd_err block_wrong(struct urd_fountain_intake *intake, uint32_t block)
{
    unsigned tries = intake->states[block] >> TRIES_SHIFT;
    if ((intake->states[block] & JOURNALLED) == 0 && ++tries >= URD_FOUNTAIN_BLOCK_TRIES_MAX)
        return URD_E_CORRUPT;
    intake->states[block] = (uint8_t)(tries << TRIES_SHIFT) | URD_FOUNTAIN_BLOCK_MISSING;
    intake->written--;
    intake->bytes_written -= extent_of(intake, block).len;
    if (block < intake->window_end) intake->wrong_count++;
    return URD_OK;
}

static void block_right(struct urd_fountain_intake *intake, uint32_t block)
{
    if ((intake->states[block] & JOURNALLED) != 0) {
        state_set(intake, block, URD_FOUNTAIN_BLOCK_FINISHED);
        intake->finished++;
        return;
    }
    state_set(intake, block, URD_FOUNTAIN_BLOCK_RIGHT);
    intake->right[intake->right_count++] = block;
}

urd_err urd_fountain_intake_verify(struct urd_fountain_intake *intake,
                                   struct urd_fountain_digests *board)
{
    uint32_t known = urd_fountain_digests_known(board);
    if (known == intake->verified_known) return URD_OK;
    intake->verified_known = known;
    uint32_t kept = 0;
    urd_err err = URD_OK;
    for (uint32_t i = 0; i < intake->unverified_count; i++) {
        uint32_t block = intake->unverified[i];
        const uint8_t *digest = urd_fountain_digests_get(board, block);
        if (digest == NULL || err != URD_OK)
            intake->unverified[kept++] = block;
        else if (memcmp(digest, intake->digests[block], URD_FOUNTAIN_DIGEST_LEN) == 0)
            block_right(intake, block);
        else
            err = block_wrong(intake, block);
    }
    intake->unverified_count = kept;
    window_fill(intake);
    return err;
}

uint32_t urd_fountain_intake_take_right(struct urd_fountain_intake *intake,
                                        struct urd_fountain_finished *ret, uint32_t max)
{
    uint32_t count = intake->right_count < max ? intake->right_count : max;
    for (uint32_t i = 0; i < count; i++) {
        ret[i].block = intake->right[--intake->right_count];
        memcpy(ret[i].digest, intake->digests[ret[i].block], URD_FOUNTAIN_DIGEST_LEN);
    }
    return count;
}

void urd_fountain_intake_committed(struct urd_fountain_intake *intake,
                                   const struct urd_fountain_finished *blocks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert(STATE_OF(intake->states[blocks[i].block]) == URD_FOUNTAIN_BLOCK_RIGHT);
        state_set(intake, blocks[i].block, URD_FOUNTAIN_BLOCK_FINISHED);
    }
    intake->finished += count;
}

void urd_fountain_intake_report(const struct urd_fountain_intake *intake,
                                struct urd_fountain_report *report)
{
    report->window_end = intake->window_end;
    report->needs_count = (uint8_t)intake->open_count;
    for (uint32_t i = 0; i < intake->open_count; i++)
        report->needs[i] = (struct urd_fountain_need){ .block = intake->open[i].block,
                                                       .need = intake->open[i].need };
    if (intake->written == intake->layout.blocks) report->flags |= URD_FOUNTAIN_REPORT_ENOUGH;
}
