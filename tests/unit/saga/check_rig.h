/* tests/unit/saga/check_rig.h -- journals and ledgers written by hand, and what the checkers say of
 * them. */
#ifndef TESTS_UNIT_SAGA_CHECK_RIG_H
#define TESTS_UNIT_SAGA_CHECK_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "saga/builtin_rows.h"
#include "saga/check.h"
#include "saga/header.h"
#include "storage/journal.h"
#include "storage/kv_memory.h"

#define SECOND 1000000000ll
#define BEGAN  (1700000000ll * SECOND)

struct rig {
    struct storage_memory *disk;
    struct storage *store;
    struct saga_ledgers ledgers;
    char *text[2]; /* of two ledgers */
    size_t text_len[2];
    char told[4096]; /* "RULE sentence\n" a breach */
    struct saga_check_options options;
    struct saga_check_summary sum;
};

/* One saga's journal being written. */
struct story {
    struct rig *rig;
    uint8_t id[SAGA_ID_BYTES];
    char id_text[SAGA_ID_TEXT_BYTES];
    uint64_t seq, lsn;
    int64_t now_ns;
    enum saga_state state; /* what its header says */
};

static int rig_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    char why[128];
    assert_int_equal(storage_memory_new(0, 0, &rig->disk), URD_OK);
    assert_int_equal(storage_memory_open(rig->disk, NULL, NULL, &rig->store, why, sizeof why),
                     URD_OK);
    for (unsigned i = 0; i < 2; i++)
        rig->text[i] = calloc(1, 1 << 16);
    *state = rig;
    return 0;
}

static int rig_down(void **state)
{
    struct rig *rig = *state;
    saga_ledgers_done(&rig->ledgers);
    storage_close(rig->store);
    storage_memory_free(rig->disk);
    free(rig->text[0]);
    free(rig->text[1]);
    free(rig);
    return 0;
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)

/* --- journals -------------------------------------------------------------------------------- */

/* Append as it is, whatever the machine thinks of it; the header says @state from now on. */
static void append_as(struct story *s, const struct saga_record *record, enum saga_state state)
{
    struct storage_tx *tx;
    struct storage_key key;
    uint8_t *bytes, row[SAGA_HEADER_BYTES_MAX];
    size_t len;
    assert_int_equal(saga_record_encode(record, &bytes, &len), URD_OK);
    assert_int_equal(storage_tx_begin(s->rig->store, &tx), URD_OK);
    assert_int_equal(storage_tx_journal_append(tx, s->id, ++s->seq, s->lsn, (uint8_t)record->kind,
                                               bytes, len, &s->lsn),
                     URD_OK);
    struct saga_header header = { .state = state,
                                  .seq = s->seq,
                                  .lsn = s->lsn,
                                  .accepted_ns = BEGAN,
                                  .updated_ns = s->now_ns,
                                  .name = "test" };
    s->state = state;
    saga_header_key(&key, s->id);
    assert_int_equal(storage_tx_put(tx, &key, row, saga_header_encode(&header, row)), URD_OK);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    free(bytes);
}

__attribute__((unused)) static void append(struct story *s, struct saga_record record)
{
    enum saga_state state = s->state;
    s->now_ns += SECOND;
    record.at_ns = s->now_ns;
    if (state == SAGA_ACCEPTED && record.kind == SAGA_INTENT) state = SAGA_RUNNING;
    if (record.kind == SAGA_COMPENSATING_RECORD) state = SAGA_COMPENSATING;
    if (record.kind == SAGA_STUCK_RECORD) state = SAGA_STUCK;
    if (record.kind == SAGA_RESOLVED) state = SAGA_COMPENSATING;
    if (record.kind == SAGA_COMMITTED_RECORD) state = SAGA_COMMITTED;
    if (record.kind == SAGA_COMPENSATED_RECORD) state = SAGA_COMPENSATED;
    append_as(s, &record, state);
}

/* Accept @document (`'` stands for `"`) as saga @number. */
__attribute__((unused)) static struct story accept(struct rig *rig, unsigned number,
                                                   const char *document)
{
    struct story s = { .rig = rig, .now_ns = BEGAN, .state = SAGA_ACCEPTED };
    struct saga_document *decoded;
    struct saga_record record = { .kind = SAGA_ACCEPTED_RECORD, .at_ns = BEGAN };
    struct saga_plan *plan;
    char text[2048], why[256] = "", *canonical;
    s.id[1] = 1;
    s.id[15] = (uint8_t)number;
    s.id[14] = (uint8_t)(number >> 8);
    saga_id_print(s.id, s.id_text);
    snprintf(text, sizeof text, "%s", document);
    for (char *at = text; *at != '\0'; at++)
        if (*at == '\'') *at = '"';
    urd_err err = saga_document_decode(text, strlen(text), &decoded, why, sizeof why);
    if (err != URD_OK) print_error("%s\n", why);
    assert_int_equal(err, URD_OK);
    assert_int_equal(saga_document_canonical(decoded, &canonical, record.digest), URD_OK);
    assert_int_equal(saga_plan_make(decoded, &plan), URD_OK);
    record.document = canonical;
    record.plan = plan;
    append_as(&s, &record, SAGA_ACCEPTED);
    saga_plan_free(plan);
    free(canonical);
    saga_document_free(decoded);
    return s;
}

__attribute__((unused)) static void intend(struct story *s, uint32_t first, uint32_t len)
{
    struct saga_intent intents[8] = { 0 };
    for (uint32_t i = 0; i < len; i++)
        intents[i].step = first + i;
    append(s, (struct saga_record){ .kind = SAGA_INTENT, .intents = intents, .intents_len = len });
}

__attribute__((unused)) static void say(struct story *s, enum saga_record_kind kind, uint32_t step)
{
    append(s, (struct saga_record){ .kind = kind,
                                    .step = step,
                                    .batch = step,
                                    .attempt = 1,
                                    .why = kind == SAGA_CANCEL_REQUESTED ||
                                                   kind == SAGA_COMPENSATING_RECORD
                                               ? SAGA_WHY_CANCEL
                                               : SAGA_WHY_NONE,
                                    .final = kind == SAGA_STEP_UNKNOWN });
}

/* --- ledgers --------------------------------------------------------------------------------- */

/* An event in ledger @ledger at @t_s seconds after the beginning. */
__attribute__((unused)) static void event(struct story *s, unsigned ledger, double t_s,
                                          const char *what, uint32_t step,
                                          enum saga_direction direction, uint64_t epoch)
{
    struct rig *rig = s->rig;
    char key[SAGA_EFFECT_KEY_BYTES];
    saga_effect_key_print(s->id, step, direction, key);
    rig->text_len[ledger] += (size_t)snprintf(
        rig->text[ledger] + rig->text_len[ledger], (1 << 16) - rig->text_len[ledger],
        "{\"t\":%lld,\"event\":\"%s\",\"saga\":\"%s\",\"step\":\"x\",\"direction\":\"%s\","
        "\"key\":\"%s\",\"do_key\":\"\",\"epoch\":%llu}\n",
        (long long)(BEGAN + (int64_t)(t_s * 1e9)), what, s->id_text,
        direction == SAGA_DO ? "do" : "undo", key, (unsigned long long)epoch);
}

/* A handler that begins and acts. */
__attribute__((unused)) static void act(struct story *s, double t_s, uint32_t step,
                                        enum saga_direction direction)
{
    event(s, 0, t_s, "begin", step, direction, 1);
    event(s, 0, t_s + 0.1, "effect", step, direction, 1);
}

/* --- checking -------------------------------------------------------------------------------- */

static void rig_told(void *arg, const struct saga_breach *breach)
{
    struct rig *rig = arg;
    size_t len = strlen(rig->told);
    snprintf(rig->told + len, sizeof rig->told - len, "%s %s\n", breach->rule, breach->sentence);
}

/* Everything the checkers tell, "RULE sentence" a line. */
static const char *check(struct rig *rig)
{
    struct storage_snapshot *snapshot;
    saga_ledgers_done(&rig->ledgers);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(saga_ledgers_add(&rig->ledgers, rig->text[i], rig->text_len[i]), URD_OK);
    assert_int_equal(rig->ledgers.lines_damaged, 0);
    rig->told[0] = '\0';
    rig->options.report = rig_told;
    rig->options.report_arg = rig;
    rig->options.ledgers = rig->text_len[0] + rig->text_len[1] > 0 ? &rig->ledgers : NULL;
    assert_int_equal(storage_snapshot_begin(rig->store, "test", 0, &snapshot), URD_OK);
    assert_int_equal(saga_check_run(snapshot, &rig->options, &rig->sum), URD_OK);
    storage_snapshot_end(snapshot);
    return rig->told;
}

/* The sentence about @s, with its rule. */
__attribute__((unused)) static const char *of(const struct story *s, const char *rule,
                                              const char *sentence)
{
    static char text[1024];
    snprintf(text, sizeof text, "%s saga %s: %s\n", rule, s->id_text, sentence);
    return text;
}

#define BREACH(s, rule, sentence) assert_string_equal(check((s).rig), of(&(s), rule, sentence))
#define SILENT(rig)               assert_string_equal(check(rig), "")

#endif
