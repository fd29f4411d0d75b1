/* Records and groups as bytes: round trip, damage noticed, damage contained. */
#include "tests/unit/storage/fixture.h"

#include "storage/bytes.h"
#include "storage/record.h"

static struct storage_record record_of(uint8_t saga, uint64_t seq, const char *payload)
{
    struct storage_record record = { .lsn = 9,
                                     .seq = seq,
                                     .prev_lsn = seq - 1,
                                     .kind = 3,
                                     .payload = (const uint8_t *)payload,
                                     .payload_len = (uint32_t)strlen(payload) };
    memset(record.saga_id, saga, sizeof record.saga_id);
    return record;
}

static size_t seal(const struct storage_record *record, uint8_t *ret)
{
    storage_record_seal(record, ret);
    return storage_record_size(record);
}

static void what_was_sealed_decodes(void **state)
{
    (void)state;
    uint8_t bytes[128];
    struct storage_record record = record_of(1, 5, "payload"), back;
    size_t used, len = seal(&record, bytes);
    assert_int_equal(storage_record_decode(bytes, sizeof bytes, 9, &back, &used), URD_OK);
    assert_int_equal(used, len);
    assert_memory_equal(back.saga_id, record.saga_id, sizeof back.saga_id);
    assert_true(back.lsn == 9 && back.seq == 5 && back.prev_lsn == 4 && back.kind == 3);
    assert_int_equal(back.payload_len, 7);
    assert_memory_equal(back.payload, "payload", 7);
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct storage_record record = record_of(1, 5, "payload"), back;
    size_t used, len = seal(&record, bytes);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(storage_record_decode(bytes, len, 9, &back, &used), URD_OK);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void a_record_of_another_lsn_is_corrupt(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct storage_record record = record_of(1, 5, "payload"), back;
    size_t used, len = seal(&record, bytes);
    assert_int_equal(storage_record_decode(bytes, len, 10, &back, &used), URD_E_CORRUPT);
}

static void a_cut_record_is_short_and_a_huge_one_too_big(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct storage_record record = record_of(1, 5, "payload"), back;
    size_t used, len = seal(&record, bytes);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(storage_record_decode(bytes, cut, 9, &back, &used), URD_E_SHORT);
    storage_put_u32(bytes + 4, STORAGE_RECORD_PAYLOAD_BYTES_MAX + 1);
    assert_int_equal(storage_record_decode(bytes, len, 9, &back, &used), URD_E_TOO_BIG);
}

/* Whatever byte of one record is damaged, those before and behind it are read. */
static void damage_costs_one_record(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t starts[4] = { 0 }, len = 0;
    for (unsigned i = 0; i < 3; i++) {
        struct storage_record record = record_of((uint8_t)(i + 1), i + 1, "the payload of one");
        starts[i] = len;
        len += seal(&record, bytes + len);
    }
    starts[3] = len;

    for (size_t at = starts[1]; at < starts[2]; at++) {
        bytes[at] ^= 0x21;
        struct storage_group group = { .bytes = bytes, .len = len, .lsn = 9 };
        struct storage_record record;
        size_t where, sagas = 0, flaws = 0;
        urd_err err;
        while ((err = storage_group_next(&group, &record, &where)) != URD_E_NOT_FOUND) {
            if (err == URD_OK)
                sagas += record.saga_id[0];
            else
                flaws++;
            if (err != URD_OK) assert_int_equal(where, starts[1]);
        }
        assert_int_equal(sagas, 1 + 3);
        assert_int_equal(flaws, 1);
        bytes[at] ^= 0x21;
    }
}

static void a_torn_tail_is_told(void **state)
{
    (void)state;
    uint8_t bytes[512];
    struct storage_record record = record_of(1, 1, "first");
    size_t len = seal(&record, bytes), where;
    record = record_of(2, 1, "second");
    size_t whole = len + seal(&record, bytes + len);
    for (size_t cut = len + 1; cut < whole; cut++) {
        struct storage_group group = { .bytes = bytes, .len = cut, .lsn = 9 };
        assert_int_equal(storage_group_next(&group, &record, &where), URD_OK);
        assert_int_equal(storage_group_next(&group, &record, &where), URD_E_CORRUPT);
        assert_int_equal(where, len);
        assert_int_equal(storage_group_next(&group, &record, &where), URD_E_NOT_FOUND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_decodes),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(a_record_of_another_lsn_is_corrupt),
        cmocka_unit_test(a_cut_record_is_short_and_a_huge_one_too_big),
        cmocka_unit_test(damage_costs_one_record),
        cmocka_unit_test(a_torn_tail_is_told),
    };
    return cmocka_run_group_tests_name("storage/record", tests, NULL, NULL);
}
