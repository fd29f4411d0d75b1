/* How a store is checked, in one walk over its journal:
 *
 *     record ─► its saga's fold, saga_apply() ─► at its end: its header, its events ─► forgotten
 *
 * Only sagas that are open at one moment are in memory at once; of the others an entry is kept, so
 * that a record after the end is seen.  What is still open when the walk is over is looked at then.
 */
#include "saga/check.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saga/builtin_rows.h"
#include "saga/check_internal.h"
#include "saga/header.h"
#include "storage/journal.h"

#define SENTENCE_BYTES 768u

/* What is known of a saga. */
struct saga_check_entry {
    uint8_t id[SAGA_ID_BYTES];
    bool used, told; /* told: that records come after its end */
    enum { FOLDING, ENDED, BROKEN, UNCHECKED } now;
    struct saga_check_life life; /* FOLDING */
};

struct saga_check_token {
    uint64_t token;
    uint8_t saga[SAGA_ID_BYTES];
    uint32_t step;
};

void saga_check_breach(struct saga_check *c, const char *rule, const uint8_t *id,
                       const char *format, ...)
{
    char sentence[SENTENCE_BYTES], text[SAGA_ID_TEXT_BYTES] = "";
    int used = 0;
    va_list args;
    c->sum.breaches++;
    if (c->options.report == NULL) return;
    if (id != NULL) {
        saga_id_print(id, text);
        used = snprintf(sentence, sizeof sentence, "saga %s: ", text);
    }
    va_start(args, format);
    (void)vsnprintf(sentence + used, sizeof sentence - (size_t)used, format, args);
    va_end(args);
    struct saga_breach breach = { .rule = rule, .saga = text, .sentence = sentence };
    c->options.report(c->options.report_arg, &breach);
}

/* --- the sagas -------------------------------------------------------------------------------- */

static void life_free(struct saga_check_life *life)
{
    saga_free(life->saga);
    free(life->intended);
    *life = (struct saga_check_life){ 0 };
}

/* Where @id is, or would be. */
static struct saga_check_entry *slot_of(struct saga_check_entry *entries, size_t room,
                                        const uint8_t id[SAGA_ID_BYTES])
{
    uint64_t hash;
    memcpy(&hash, id + SAGA_ID_BYTES - sizeof hash, sizeof hash); /* chance, in a ULID */
    hash *= 0x9e3779b97f4a7c15u;
    for (size_t i = (size_t)(hash >> 20);; i++) {
        struct saga_check_entry *entry = &entries[i & (room - 1)];
        if (!entry->used || memcmp(entry->id, id, SAGA_ID_BYTES) == 0) return entry;
    }
}

static struct saga_check_entry *find(const struct saga_check *c, const uint8_t id[SAGA_ID_BYTES])
{
    if (c->entries_room == 0) return NULL;
    struct saga_check_entry *entry = slot_of(c->entries, c->entries_room, id);
    return entry->used ? entry : NULL;
}

static urd_err grow(struct saga_check *c)
{
    size_t room = c->entries_room == 0 ? 1024 : 2 * c->entries_room;
    if (2 * (c->entries_len + 1) <= c->entries_room) return URD_OK;
    struct saga_check_entry *entries = calloc(room, sizeof entries[0]);
    if (entries == NULL) return URD_E_NOMEM;
    for (size_t i = 0; i < c->entries_room; i++)
        if (c->entries[i].used) *slot_of(entries, room, c->entries[i].id) = c->entries[i];
    free(c->entries);
    c->entries = entries;
    c->entries_room = room;
    return URD_OK;
}

/* Of a saga whose journal is being removed, or was, only a tombstone is left or nothing. */
static bool is_buried(struct saga_check *c, const uint8_t id[SAGA_ID_BYTES])
{
    struct saga_header header;
    urd_err err = saga_header_read(c->snapshot, id, &header);
    return err == URD_E_NOT_FOUND || (err == URD_OK && header.lsn == 0);
}

static urd_err new_entry(struct saga_check *c, const uint8_t id[SAGA_ID_BYTES],
                         struct saga_check_entry **ret)
{
    urd_err err = grow(c);
    if (err != URD_OK) return err;
    struct saga_check_entry *entry = slot_of(c->entries, c->entries_room, id);
    assert(!entry->used);
    if (is_buried(c, id)) {
        entry->now = UNCHECKED;
        c->sum.unchecked++;
    } else {
        err = saga_new(id, &entry->life.saga);
        if (err != URD_OK) return err;
        entry->now = FOLDING;
        c->sum.sagas++;
    }
    memcpy(entry->id, id, SAGA_ID_BYTES);
    entry->used = true;
    c->entries_len++;
    *ret = entry;
    return URD_OK;
}

/* Nothing more can be said of it. */
static void give_up(struct saga_check_entry *entry)
{
    life_free(&entry->life);
    entry->now = BROKEN;
}

/* --- one saga at rest ------------------------------------------------------------------------- */

static void check_header(struct saga_check *c, const struct saga *saga)
{
    struct saga_header header;
    urd_err err = saga_header_read(c->snapshot, saga->id, &header);
    if (err != URD_OK)
        saga_check_breach(c, "store", saga->id, "its header: %s", urd_err_text(err));
    else if (header.seq != saga->seq || header.state != saga->state)
        saga_check_breach(c, "store", saga->id,
                          "its header says %s at record %llu, its journal %s at record %llu",
                          saga_state_name(header.state), (unsigned long long)header.seq,
                          saga_state_name(saga->state), (unsigned long long)saga->seq);
}

/* S1: stuck only going back, at a step that is to be undone, or past the pivot, at one to be done.
 */
static void check_stuck(struct saga_check *c, const struct saga *saga)
{
    uint32_t i = saga->stuck_step;
    bool due =
        i < saga->document->steps_len &&
        (saga->backward ? saga_needs_undo(saga, i) : saga->work[i].phase != SAGA_STEP_IS_DONE);
    if (!due) saga_check_breach(c, "S1", saga->id, "it is stuck where nothing is left to do");
}

static urd_err look_at(struct saga_check *c, struct saga_check_entry *entry)
{
    const struct saga *saga = entry->life.saga;
    switch (saga->state) {
    case SAGA_COMMITTED:
        c->sum.committed++;
        break;
    case SAGA_COMPENSATED:
        c->sum.compensated++;
        break;
    case SAGA_STUCK:
        c->sum.stuck++;
        check_stuck(c, saga);
        break;
    default:
        c->sum.open++;
        if (c->options.require_ends)
            saga_check_breach(c, "S1", saga->id, "it has no end: it is %s",
                              saga_state_name(saga->state));
    }
    check_header(c, saga);
    return saga_check_events(c, saga->id, &entry->life);
}

/* --- the walk --------------------------------------------------------------------------------- */

/* Which invariant a record breaks that the machine does not take. */
static const char *rule_of(const struct saga *saga, enum saga_record_kind kind)
{
    switch (kind) {
    case SAGA_INTENT:
        return saga->turned ? "S10" : "S9";
    case SAGA_BARRIER:
        return "S9";
    case SAGA_CANCEL_REQUESTED:
        return "S10";
    case SAGA_COMPENSATING_RECORD:
        return "S4"; /* steps are open */
    case SAGA_COMPENSATION_DONE:
    case SAGA_COMPENSATION_FAILED:
        return "S3";
    case SAGA_COMMITTED_RECORD:
        return saga->turned ? "S10" : "S2";
    case SAGA_COMPENSATED_RECORD:
        return "S2";
    default:
        return "S1";
    }
}

static void note_token(struct saga_check *c, const struct saga *saga,
                       const struct saga_record *record)
{
    const struct saga_step *step = &saga->document->steps[record->step];
    json_t *result;
    if (step->kind != SAGA_KIND_ACQUIRE || step->action != NULL || record->json == NULL) return;
    if (saga_json_decode(record->json, strlen(record->json), SIZE_MAX, &result, NULL, 0) != URD_OK)
        return;
    json_int_t token = json_integer_value(json_object_get(result, "token"));
    json_decref(result);
    if (c->tokens_len == c->tokens_room) {
        size_t room = c->tokens_room == 0 ? 64 : 2 * c->tokens_room;
        struct saga_check_token *grown = realloc(c->tokens, room * sizeof grown[0]);
        if (grown == NULL) {
            c->failed = URD_E_NOMEM;
            return;
        }
        c->tokens = grown;
        c->tokens_room = room;
    }
    struct saga_check_token *t = &c->tokens[c->tokens_len++];
    *t = (struct saga_check_token){ .token = (uint64_t)token, .step = record->step };
    memcpy(t->saga, saga->id, SAGA_ID_BYTES);
}

/* What only the order of records shows, after @record was applied. */
static urd_err note(struct saga_check *c, struct saga_check_life *life,
                    const struct saga_record *record)
{
    if (record->kind == SAGA_ACCEPTED_RECORD) {
        life->intended = calloc(life->saga->document->steps_len, sizeof life->intended[0]);
        if (life->intended == NULL) return URD_E_NOMEM;
    }
    if (record->kind == SAGA_INTENT)
        for (uint32_t i = 0; i < record->intents_len; i++)
            life->intended[record->intents[i].step] = true;
    if (record->kind == SAGA_STEP_DONE) note_token(c, life->saga, record);
    return c->failed;
}

static urd_err fold(struct saga_check *c, struct saga_check_entry *entry,
                    const struct storage_record *stored)
{
    struct saga_record record;
    struct saga *saga = entry->life.saga;
    char why[256] = "";
    if (stored->seq != saga->seq + 1) {
        saga_check_breach(c, "store", entry->id, "record %llu is missing from its journal",
                          (unsigned long long)saga->seq + 1);
        give_up(entry);
        return URD_OK;
    }
    urd_err err = saga_record_decode(stored->kind, stored->payload, stored->payload_len, &record);
    if (err == URD_E_NOMEM) return err;
    if (err != URD_OK) {
        saga_check_breach(c, "store", entry->id, "record %llu cannot be read: %s",
                          (unsigned long long)stored->seq, urd_err_text(err));
        give_up(entry);
        return URD_OK;
    }
    err = saga_apply(saga, &record, why, sizeof why);
    if (err == URD_OK) {
        err = note(c, &entry->life, &record);
    } else if (err != URD_E_NOMEM) {
        saga_check_breach(c, rule_of(saga, record.kind), entry->id, "%s", why);
        give_up(entry);
        err = URD_OK;
    }
    saga_record_done(&record);
    return err;
}

static urd_err visit(void *arg, const struct storage_record *stored)
{
    struct saga_check *c = arg;
    struct saga_check_entry *entry = find(c, stored->saga_id);
    urd_err err = URD_OK;
    c->sum.records++;
    if (entry == NULL) err = new_entry(c, stored->saga_id, &entry);
    if (err != URD_OK || entry->now == UNCHECKED || entry->now == BROKEN) return err;
    if (entry->now == ENDED) {
        if (!entry->told)
            saga_check_breach(c, "S1", entry->id, "record %llu comes after its end",
                              (unsigned long long)stored->seq);
        entry->told = true;
        return URD_OK;
    }
    err = fold(c, entry, stored);
    if (err != URD_OK || entry->now != FOLDING || !saga_state_ended(entry->life.saga->state))
        return err;
    err = look_at(c, entry);
    life_free(&entry->life);
    entry->now = ENDED;
    return err;
}

static void flaw(void *arg, const struct storage_flaw *flaw)
{
    saga_check_breach(arg, "store", NULL, "%s", flaw->sentence);
}

static urd_err look_at_open(struct saga_check *c)
{
    for (size_t i = 0; i < c->entries_room; i++) {
        struct saga_check_entry *entry = &c->entries[i];
        if (!entry->used || entry->now != FOLDING) continue;
        if (entry->life.saga->seq == 0) continue; /* its first record was refused */
        urd_err err = look_at(c, entry);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

/* --- what is left over ------------------------------------------------------------------------ */

typedef void (*row_fn)(struct saga_check *c, const struct storage_item *item);

static urd_err each_row(struct saga_check *c, enum storage_table table, row_fn visit_row)
{
    struct storage_key prefix;
    struct storage_cursor *cursor;
    storage_key_init(&prefix, table);
    struct storage_range range = { .prefix = &prefix };
    urd_err err = storage_snapshot_range(c->snapshot, &range, &cursor);
    if (err != URD_OK) return err;
    do {
        struct storage_item item;
        err = storage_cursor_next(cursor, &item);
        if (err == URD_OK) visit_row(c, &item); /* damaged ones are told by who asks for them */
    } while (err == URD_OK || err == URD_E_CORRUPT || err == URD_E_VERSION);
    storage_cursor_close(cursor);
    return err == URD_E_NOT_FOUND ? URD_OK : err;
}

/* A saga that the store says it has and whose journal is not there. */
static void check_lost(struct saga_check *c, const struct storage_item *item)
{
    struct saga_header header;
    uint8_t id[SAGA_ID_BYTES];
    if (item->key_len < SAGA_ID_BYTES) return;
    memcpy(id, item->key + item->key_len - SAGA_ID_BYTES, SAGA_ID_BYTES);
    if (saga_header_decode(item->value.bytes, item->value.len, &header) != URD_OK) return;
    if (header.lsn != 0 && find(c, id) == NULL)
        saga_check_breach(c, "store", id, "it has a header and no journal");
}

/* S14: nothing is held for a saga that has ended. */
static void check_held(struct saga_check *c, const struct storage_item *item)
{
    uint8_t id[SAGA_ID_BYTES];
    uint32_t step;
    if (!saga_held_key_parse(item->key, item->key_len, id, &step)) return;
    const struct saga_check_entry *entry = find(c, id);
    if (entry != NULL && entry->now == ENDED)
        saga_check_breach(c, "S14", id,
                          "it has ended, and its step number %u still holds something", step);
}

static void builtin_breach(void *arg, const char *sentence)
{
    saga_check_breach(arg, "S14", NULL, "%s", sentence);
}

static int by_token(const void *a, const void *b)
{
    const struct saga_check_token *x = a, *y = b;
    return (x->token > y->token) - (x->token < y->token);
}

/* S14: no two holders were ever given one token. */
static void check_tokens(struct saga_check *c)
{
    if (c->tokens_len > 0) qsort(c->tokens, c->tokens_len, sizeof c->tokens[0], by_token);
    for (size_t i = 1; i < c->tokens_len; i++)
        if (c->tokens[i].token == c->tokens[i - 1].token)
            saga_check_breach(c, "S14", c->tokens[i].saga,
                              "its step number %u was given lease token %llu, and so was another",
                              c->tokens[i].step, (unsigned long long)c->tokens[i].token);
}

/* Events of sagas that the journal says nothing of. */
static urd_err look_at_foreign(struct saga_check *c)
{
    struct saga_ledgers *ledgers = c->options.ledgers;
    if (ledgers == NULL) return URD_OK;
    c->sum.events = ledgers->events_len;
    saga_ledgers_sort(ledgers);
    for (size_t i = 0, len; i < ledgers->events_len; i += len) {
        const uint8_t *id = ledgers->events[i].saga;
        (void)saga_ledgers_of(ledgers, id, &len);
        const struct saga_check_entry *entry = find(c, id);
        if (entry == NULL) c->sum.foreign += len;
        if (entry != NULL && (entry->now == ENDED || entry->now == FOLDING)) continue;
        urd_err err = saga_check_events(c, id, NULL);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static urd_err check_rest(struct saga_check *c)
{
    struct saga_builtin_summary unused;
    urd_err err = look_at_open(c);
    if (err == URD_OK) err = look_at_foreign(c);
    if (err == URD_OK) err = each_row(c, STORAGE_TABLE_SAGA, check_lost);
    if (err == URD_OK) err = each_row(c, STORAGE_TABLE_HELD, check_held);
    if (err == URD_OK) err = saga_builtin_verify(c->snapshot, builtin_breach, c, &unused);
    if (err == URD_OK) check_tokens(c);
    return err;
}

urd_err saga_check_run(struct storage_snapshot *snapshot, const struct saga_check_options *options,
                       struct saga_check_summary *ret)
{
    struct saga_check c = { .snapshot = snapshot };
    if (options != NULL) c.options = *options;
    urd_err err = storage_journal_walk(snapshot, 0, visit, flaw, &c);
    if (err == URD_OK) err = check_rest(&c);
    if (err == URD_OK) *ret = c.sum;
    for (size_t i = 0; i < c.entries_room; i++)
        life_free(&c.entries[i].life);
    free(c.entries);
    free(c.tokens);
    return err;
}
