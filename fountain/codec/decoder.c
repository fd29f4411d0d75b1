/* Decoding one source block.
 *
 * Received symbols lie in K + SPARE slots of T bytes, the first K of which are the output: source
 * symbol i goes to slot i, repair symbols go where nothing is, and move on when the source symbol
 * whose slot they borrow arrives after all.  Solving works strip by strip: the strip's bytes of all
 * symbols held make that strip of the intermediate symbols, and those make the missing source
 * symbols' strip, over the repair symbols that are done with. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/codec/arena_internal.h"
#include "fountain/codec/fountain.h"
#include "fountain/codec/plan_internal.h"

#define SPARE 16u        /* symbols beyond K: one in 256^16 fair blocks would need more */
#define EMPTY UINT32_MAX /* no ESI is that large */

struct urd_fountain_decoder {
    struct urd_fountain_code code;
    uint32_t K;
    uint32_t T;
    const struct urd_fountain_kernels *kernels;

    uint32_t held;        /* slots in use */
    uint32_t source_held; /* of them, source symbols at home */
    uint32_t wanted;      /* attempts below so many held are in vain */
    bool complete;

    uint32_t slots;      /* K + SPARE */
    uint32_t *slot_esi;  /* by slot: what is there, or EMPTY */
    uint32_t free_below; /* every slot from here on is in use */
    uint32_t *seen;      /* repair ESIs: open addressing, a power of two places, EMPTY or an ESI */
    uint32_t seen_mask;
    uint32_t seen_count;
    uint8_t *symbols;
    void *memory;
};

static void check(const struct urd_fountain_decoder *d)
{
    assert(d->held <= d->slots && d->source_held <= d->held);
    assert(d->source_held <= d->K);
    assert(d->seen_count <= d->seen_mask);
}

static void layout(struct urd_fountain_decoder *d, struct urd_fountain_arena *arena)
{
    d->slot_esi = urd_fountain_carve(arena, d->slots, sizeof *d->slot_esi);
    d->seen = urd_fountain_carve(arena, d->seen_mask + 1, sizeof *d->seen);
    d->symbols = urd_fountain_carve(arena, d->slots, d->T);
}

urd_err urd_fountain_decoder_new(uint32_t K, uint32_t T, struct urd_fountain_decoder **ret_decoder)
{
    struct urd_fountain_code code;
    urd_err err = urd_fountain_code_for(K, &code);
    if (err != URD_OK) return err;
    if (T == 0 || T > URD_FOUNTAIN_T_MAX) return URD_E_INVALID;

    struct urd_fountain_decoder *d = calloc(1, sizeof *d);
    if (d == NULL) return URD_E_NOMEM;
    d->code = code;
    d->K = K;
    d->T = T;
    d->kernels = urd_fountain_kernels_best();
    d->slots = K + SPARE;
    uint32_t places = 1;
    while (places < 2 * d->slots) /* at most half full, but for what rejected ESIs add */
        places *= 2;
    d->seen_mask = places - 1;

    struct urd_fountain_arena arena = { 0 };
    layout(d, &arena);
    if (!urd_fountain_arena_allocate(&arena)) {
        free(d);
        return URD_E_NOMEM;
    }
    layout(d, &arena);
    d->memory = arena.base;
    urd_fountain_decoder_reset(d);
    *ret_decoder = d;
    return URD_OK;
}

void urd_fountain_decoder_reset(struct urd_fountain_decoder *decoder)
{
    struct urd_fountain_decoder *d = decoder;
    d->held = 0;
    d->source_held = 0;
    d->wanted = d->K;
    d->complete = false;
    d->free_below = d->slots;
    d->seen_count = 0;
    memset(d->slot_esi, 0xff, d->slots * sizeof *d->slot_esi);
    memset(d->seen, 0xff, ((size_t)d->seen_mask + 1) * sizeof *d->seen);
    check(d);
}

static uint8_t *slot(const struct urd_fountain_decoder *d, uint32_t i)
{
    return d->symbols + (size_t)i * d->T;
}

/* Where @esi is, or would go, in the table of ESIs seen. */
static uint32_t *seen_place(const struct urd_fountain_decoder *d, uint32_t esi)
{
    uint32_t at = (esi * UINT32_C(2654435769)) >> 7;
    for (;; at++) {
        uint32_t *place = &d->seen[at & d->seen_mask];
        if (*place == EMPTY || *place == esi) return place;
    }
}

/* For a repair symbol: the last free slot.  Source symbols come in order as a rule, so that its
 * owner is long in coming. */
static uint32_t take_free_slot(struct urd_fountain_decoder *d)
{
    do {
        assert(d->free_below > 0);
        d->free_below--;
    } while (d->slot_esi[d->free_below] != EMPTY);
    return d->free_below;
}

static void free_slot(struct urd_fountain_decoder *d, uint32_t i)
{
    d->slot_esi[i] = EMPTY;
    if (i >= d->free_below) d->free_below = i + 1;
    d->held--;
}

static void add_source(struct urd_fountain_decoder *d, uint32_t esi, const uint8_t *symbol)
{
    if (d->slot_esi[esi] != EMPTY) { /* a repair symbol has it: that moves */
        uint32_t to = take_free_slot(d);
        memcpy(slot(d, to), slot(d, esi), d->T);
        d->slot_esi[to] = d->slot_esi[esi];
    }
    memcpy(slot(d, esi), symbol, d->T);
    d->slot_esi[esi] = esi;
    d->source_held++;
    d->complete = d->source_held == d->K;
}

static void add_repair(struct urd_fountain_decoder *d, uint32_t esi, const uint8_t *symbol,
                       uint32_t *place)
{
    uint32_t to = take_free_slot(d);
    memcpy(slot(d, to), symbol, d->T);
    d->slot_esi[to] = esi;
    *place = esi;
    d->seen_count++;
}

urd_err urd_fountain_decoder_add(struct urd_fountain_decoder *decoder, uint32_t esi,
                                 const uint8_t *symbol, size_t symbol_len)
{
    struct urd_fountain_decoder *d = decoder;
    check(d);
    if (esi > URD_FOUNTAIN_ESI_MAX || symbol_len != d->T) return URD_E_INVALID;
    if (d->complete) return URD_OK;

    uint32_t *place = NULL;
    if (esi < d->K) {
        if (d->slot_esi[esi] == esi) return URD_OK;
    } else {
        place = seen_place(d, esi);
        if (*place == esi) return URD_OK;
    }
    if (d->held == d->slots) return URD_E_FULL;

    if (esi < d->K)
        add_source(d, esi, symbol);
    else
        add_repair(d, esi, symbol, place);
    d->held++;
    check(d);
    return URD_OK;
}

uint32_t urd_fountain_decoder_missing(const struct urd_fountain_decoder *decoder)
{
    const struct urd_fountain_decoder *d = decoder;
    if (d->complete || d->held >= d->wanted) return 0;
    return d->wanted - d->held;
}

bool urd_fountain_decoder_ready(const struct urd_fountain_decoder *decoder)
{
    return !decoder->complete && decoder->held >= decoder->wanted;
}

bool urd_fountain_decoder_complete(const struct urd_fountain_decoder *decoder)
{
    return decoder->complete;
}

bool urd_fountain_decoder_has(const struct urd_fountain_decoder *decoder, uint32_t i)
{
    return i < decoder->K && decoder->slot_esi[i] == i;
}

const uint8_t *urd_fountain_decoder_source(const struct urd_fountain_decoder *decoder)
{
    return decoder->symbols;
}

/* What an attempt needs besides its plan. */
struct attempt {
    struct urd_fountain_given *given; /* held symbols, then the K'-K padding ones, which are zero */
    uint32_t given_count;
    uint8_t *rejected;
    uint32_t missing;      /* source symbols to make: */
    uint32_t *missing_isi; /* their numbers, */
    uint32_t *lt_start;    /* and the columns that each is the sum of */
    uint16_t *lt_columns;
    uint8_t *columns; /* strips */
    uint8_t *scratch;
};

static void fill_given(const struct urd_fountain_decoder *d, struct attempt *a)
{
    uint32_t padding = d->code.K_prime - d->K;
    for (uint32_t i = 0; i < d->slots; i++) {
        uint32_t esi = d->slot_esi[i];
        if (esi == EMPTY) continue;
        a->given[a->given_count++] =
            (struct urd_fountain_given){ .isi = esi < d->K ? esi : esi + padding, .data = i };
    }
    assert(a->given_count == d->held);
    for (uint32_t isi = d->K; isi < d->code.K_prime; isi++)
        a->given[a->given_count++] =
            (struct urd_fountain_given){ .isi = isi, .data = URD_FOUNTAIN_NO_DATA };
}

static void fill_missing(const struct urd_fountain_decoder *d, struct attempt *a)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < d->K; i++) {
        if (d->slot_esi[i] == i) continue;
        a->missing_isi[a->missing] = i;
        a->lt_start[a->missing++] = end;
        end += urd_fountain_lt_row(&d->code, i, a->lt_columns + end);
    }
    a->lt_start[a->missing] = end;
}

static void run_plan(struct urd_fountain_decoder *d, const struct urd_fountain_plan *plan,
                     const struct attempt *a, size_t strip_len)
{
    for (size_t at = 0; at < d->T; at += strip_len) {
        size_t len = d->T - at < strip_len ? d->T - at : strip_len;
        struct urd_fountain_strip strip = { .data = d->symbols + at,
                                            .data_stride = d->T,
                                            .data_count = d->slots,
                                            .columns = a->columns,
                                            .scratch = a->scratch,
                                            .stride = strip_len,
                                            .len = len };
        urd_fountain_plan_replay(plan, d->kernels, &strip);
        for (uint32_t i = 0; i < a->missing; i++)
            d->kernels->gather(slot(d, a->missing_isi[i]) + at, NULL, a->columns, strip_len,
                               a->lt_columns + a->lt_start[i], a->lt_start[i + 1] - a->lt_start[i],
                               len);
    }
}

static void layout_recovery(const struct urd_fountain_decoder *d, struct attempt *a,
                            struct urd_fountain_arena *arena, size_t strip_len, uint32_t scratch)
{
    uint32_t missing = d->K - d->source_held;
    a->missing_isi = urd_fountain_carve(arena, missing, sizeof *a->missing_isi);
    a->lt_start = urd_fountain_carve(arena, missing + 1, sizeof *a->lt_start);
    a->lt_columns = urd_fountain_carve(arena, missing, URD_FOUNTAIN_LT_MAX * sizeof *a->lt_columns);
    a->columns = urd_fountain_carve(arena, d->code.L, strip_len);
    a->scratch = urd_fountain_carve(arena, scratch, strip_len);
}

/* The matrix has full rank: make the missing source symbols.  Nothing is written before all memory
 * is there. */
static urd_err recover(struct urd_fountain_decoder *d, const struct urd_fountain_plan *plan,
                       struct attempt *a)
{
    size_t strip_len = urd_fountain_strip_len(d->code.L, d->T);
    uint32_t scratch = urd_fountain_plan_scratch(plan);
    struct urd_fountain_arena arena = { 0 };
    layout_recovery(d, a, &arena, strip_len, scratch);
    if (!urd_fountain_arena_allocate(&arena)) return URD_E_NOMEM;
    layout_recovery(d, a, &arena, strip_len, scratch);

    fill_missing(d, a);
    run_plan(d, plan, a, strip_len);
    free(arena.base);

    for (uint32_t i = 0; i < d->slots; i++)
        d->slot_esi[i] = i < d->K ? i : EMPTY;
    d->held = d->source_held = d->K;
    d->complete = true;
    return URD_OK;
}

/* ESIs of repair symbols that were let go stay known, so that they are not taken again, until the
 * table is three quarters full. */
static void forget_seen(struct urd_fountain_decoder *d)
{
    if (d->seen_count <= d->seen_mask / 4 * 3) return;
    memset(d->seen, 0xff, ((size_t)d->seen_mask + 1) * sizeof *d->seen);
    d->seen_count = 0;
    for (uint32_t i = 0; i < d->slots; i++) {
        if (d->slot_esi[i] == EMPTY || d->slot_esi[i] < d->K) continue;
        *seen_place(d, d->slot_esi[i]) = d->slot_esi[i];
        d->seen_count++;
    }
}

/* The rank falls short: let go of repair symbols that add nothing to it, so that K + SPARE slots
 * will do for however many symbols come.  If that frees no slot, the symbols were picked to make it
 * so: let go of all repair symbols. */
static void settle_failure(struct urd_fountain_decoder *d, const struct attempt *a,
                           uint32_t lacking)
{
    for (uint32_t i = 0; i < a->given_count; i++)
        if (a->rejected[i] && a->given[i].data != URD_FOUNTAIN_NO_DATA &&
            d->slot_esi[a->given[i].data] >= d->K)
            free_slot(d, a->given[i].data);
    d->wanted = d->held + lacking < d->slots ? d->held + lacking : d->slots;

    if (d->held == d->slots) {
        for (uint32_t i = 0; i < d->slots; i++)
            if (d->slot_esi[i] >= d->K) free_slot(d, i);
        d->wanted = d->K;
    }
    forget_seen(d);
    check(d);
}

urd_err urd_fountain_decoder_solve(struct urd_fountain_decoder *decoder)
{
    struct urd_fountain_decoder *d = decoder;
    check(d);
    if (d->complete) return URD_OK;
    if (d->held < d->wanted) return URD_E_SHORT;

    uint32_t given_max = d->held + (d->code.K_prime - d->K);
    struct attempt a = { .given = malloc(given_max * sizeof *a.given),
                         .rejected = malloc(given_max) };
    urd_err err = URD_E_NOMEM;
    if (a.given == NULL || a.rejected == NULL) goto out;
    fill_given(d, &a);

    struct urd_fountain_plan *plan;
    uint32_t lacking;
    err = urd_fountain_plan_make(&d->code, a.given, a.given_count, &plan, &lacking, a.rejected);
    if (err == URD_OK) {
        err = recover(d, plan, &a);
        urd_fountain_plan_free(plan);
    } else if (err == URD_E_SHORT) {
        settle_failure(d, &a, lacking);
    }
out:
    free(a.given);
    free(a.rejected);
    return err;
}

void urd_fountain_decoder_free(struct urd_fountain_decoder *decoder)
{
    if (decoder == NULL) return;
    free(decoder->memory);
    free(decoder);
}
