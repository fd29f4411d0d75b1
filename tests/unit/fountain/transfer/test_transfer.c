/* Whole transfers over loopback UDP, through a relay that loses, doubles and reorders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

static void show(const struct rig *rig)
{
    if (getenv("TRANSFER_SHOW") == NULL) return;
    print_message("%s (%s) / %s (%s)\n", urd_err_name(rig->send_err), rig->send_msg,
                  urd_err_name(rig->receive_err), rig->receive_msg);
    print_message("  %.3f s, %.0f Mbit/s, %llu datagrams, overhead %.3f, loss %.3f, spare %llu\n",
                  rig->received.seconds, rig->received.goodput_bps / 1e6,
                  (unsigned long long)rig->sent.datagrams, rig->sent.overhead, rig->sent.loss,
                  (unsigned long long)rig->received.symbols_spare);
}

static void arrives(size_t len, double drop, bool receiver_finds_sender)
{
    struct rig rig;
    rig_init(&rig, len);
    rig.relay.drop = drop;
    rig.receiver_finds_sender = receiver_finds_sender;
    assert_int_equal(rig_run(&rig, NULL), URD_OK);
    show(&rig);
    assert_int_equal(rig.send_err, URD_OK);
    assert_int_equal(rig.receive_err, URD_OK);
    assert_true(rig_arrived(&rig));
    assert_memory_equal(rig.sent.digest, rig.received.digest, 32);
    assert_memory_equal(rig.sent.digest, rig.sink.root, 32);
    assert_int_equal(rig.received.bytes, len);
    assert_int_equal(rig.sink.finished_count, rig.manifest.layout.blocks);
    rig_done(&rig);
}

static void files_of_awkward_sizes_arrive(void **state)
{
    (void)state;
    const size_t sizes[] = { 1, 1279, 1280, 1281, 16 * 1280 + 1, 1024 * 1280, 1024 * 1280 + 1 };
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        arrives(sizes[i], 0.1, false);
}

static void nothing_at_all_arrives_too(void **state)
{
    (void)state;
    arrives(0, 0.1, false);
}

static void a_megabyte_arrives_at_any_loss(void **state)
{
    (void)state;
    const double drops[] = { 0, 0.05, 0.1, 0.3 };
    for (unsigned i = 0; i < 4; i++)
        arrives(1 << 20, drops[i], false);
}

static void digests_may_come_over_rpc_too(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 4 << 20);
    rig.carry_digests = true;
    rig.relay.drop = 0.05;
    assert_int_equal(rig_run(&rig, NULL), URD_OK);
    show(&rig);
    assert_true(rig_arrived(&rig));
    rig_done(&rig);
}

static void a_sender_that_knows_no_address_is_found(void **state)
{
    (void)state;
    arrives(1 << 20, 0.05, true);
}

static void sixty_four_mebibytes_arrive_through_loss(void **state)
{
    (void)state;
    arrives(64 << 20, 0.05, false);
}

static void doubled_late_and_damaged_datagrams_change_nothing(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 8 << 20);
    rig.relay.drop = 0.05;
    rig.relay.dup = 0.2;
    rig.relay.swap = 0.3;
    rig.relay.damage = 0.1;
    assert_int_equal(rig_run(&rig, NULL), URD_OK);
    show(&rig);
    assert_int_equal(rig.send_err, URD_OK);
    assert_true(rig_arrived(&rig));
    rig_done(&rig);
}

/* A stranger who has seen the session's id floods both ends with datagrams of it. */
static urd_err flood(struct urd_cx *cx, void *arg)
{
    struct rig *rig = arg;
    struct urd_address local;
    struct urd_udp *udp;
    urd_err err = urd_address_parse("127.0.0.1:0", &local);
    if (err == URD_OK) err = urd_udp_open(cx, &local, 0, &udp);
    if (err != URD_OK) return err;
    uint8_t bytes[1328];
    uint64_t seed = 5;
    while (err == URD_OK) {
        for (size_t i = 0; i < sizeof bytes; i += 8) {
            uint64_t x = rig_random(&seed);
            memcpy(bytes + i, &x, 8);
        }
        if (rig_random(&seed) % 4 > 0) {
            for (unsigned i = 0; i < 8; i++)
                bytes[i] = (uint8_t)(rig->agreement.id >> (56 - 8 * i));
            memset(bytes + 8, 0, 6); /* an epoch and number that could be */
        }
        struct urd_datagram d = { .bytes = bytes, .len = sizeof bytes };
        if (rig_random(&seed) % 2)
            d.address = rig->relay.receiver;
        else
            urd_fountain_hub_local(rig->near, &d.address);
        err = urd_udp_send(cx, udp, &d, 1);
        if (err == URD_OK) err = urd_sleep(cx, 20000);
    }
    urd_udp_close(udp);
    return err;
}

static void forged_datagrams_change_nothing(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 4 << 20);
    rig.relay.drop = 0.05;
    assert_int_equal(rig_run(&rig, flood), URD_OK);
    show(&rig);
    assert_int_equal(rig.send_err, URD_OK);
    assert_true(rig_arrived(&rig));
    rig_done(&rig);
}

/* The path dies half-way; a new session goes on from what was committed. */
static void a_transfer_is_resumed_where_it_was(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 24 << 20);
    rig.relay.drop = 0.02;
    rig.relay.cut_after = 12000;
    rig.send.idle_ns = rig.receive.idle_ns = UINT64_C(1000000000);
    assert_int_equal(rig_run(&rig, NULL), URD_OK);
    show(&rig);
    assert_int_equal(rig.send_err, URD_E_UNREACHABLE);
    assert_int_equal(rig.receive_err, URD_E_UNREACHABLE);
    assert_false(rig.sink.placed);
    uint32_t before = rig.sink.finished_count, writes = atomic_load(&rig.sink.writes);
    assert_true(before > 2 && before < rig.manifest.layout.blocks);

    struct urd_fountain_finished *finished = malloc(before * sizeof *finished);
    memcpy(finished, rig.sink.finished, before * sizeof *finished);
    rig.receive.finished = finished;
    rig.receive.finished_count = before;
    rig.relay.cut_after = 0;
    atomic_store(&rig.relay.cut, false);
    rig.receiver_finds_sender = true; /* and from elsewhere */
    assert_int_equal(rig_run(&rig, NULL), URD_OK);
    show(&rig);
    assert_int_equal(rig.send_err, URD_OK);
    assert_true(rig_arrived(&rig));
    assert_int_equal(rig.sink.finished_count, rig.manifest.layout.blocks);
    assert_int_equal(atomic_load(&rig.sink.writes) - writes, rig.manifest.layout.blocks - before);
    free(finished);
    rig_done(&rig);
}

/* The journal has a block whose source has changed since: it is fetched again. */
static void a_journalled_block_that_is_not_the_senders_is_fetched_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 4 << 20);
    struct urd_fountain_finished finished = { .block = 1, .digest = { 1, 2, 3 } };
    rig.receive.finished = &finished;
    rig.receive.finished_count = 1;
    assert_int_equal(rig_run(&rig, NULL), URD_OK);
    show(&rig);
    assert_int_equal(rig.receive_err, URD_OK);
    assert_true(rig_arrived(&rig));
    rig_done(&rig);
}

static void a_source_that_changes_ends_both_sides(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 8 << 20);
    rig.source.changed_from = 3 << 20;
    assert_int_equal(rig_run(&rig, NULL), URD_OK);
    show(&rig);
    assert_int_equal(rig.send_err, URD_E_CHANGED);
    assert_int_equal(rig.receive_err, URD_E_CHANGED);
    assert_false(rig.sink.placed);
    rig_done(&rig);
}

static void a_full_disk_ends_both_sides(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 8 << 20);
    rig.sink.fail_at = 4;
    rig.sink.fail_err = URD_E_STORAGE_FULL;
    assert_int_equal(rig_run(&rig, NULL), URD_OK);
    show(&rig);
    assert_int_equal(rig.receive_err, URD_E_STORAGE_FULL);
    assert_int_equal(rig.send_err, URD_E_STORAGE_FULL);
    assert_false(rig.sink.placed);
    rig_done(&rig);
}

static void a_block_that_never_matches_its_digest_ends_both_sides(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1 << 20);
    rig.carry_digests = rig.wrong_digests = true;
    assert_int_equal(rig_run(&rig, NULL), URD_OK);
    show(&rig);
    assert_true(rig.receive_err == URD_E_CORRUPT || rig.receive_err == URD_E_CHANGED);
    assert_int_equal(rig.send_err, rig.receive_err);
    assert_false(rig.sink.placed);
    rig_done(&rig);
}

static urd_err cancelled_body(struct urd_cx *cx, void *arg)
{
    struct rig *rig = arg;
    struct urd_budget budget = URD_BUDGET_INFINITE;
    budget.deadline_ns = urd_cx_now(cx) + UINT64_C(150000000);
    struct urd_region_options options = { .policy = URD_REGION_COLLECT, .budget = budget };
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) return URD_E_NOMEM;
    struct rig_body body = { rig, NULL };
    urd_err err = urd_spawn(cx, urd_region_scope(r), NULL, rig_body_run, &body);
    urd_region_join(cx, r, NULL);
    return err;
}

static void a_deadline_ends_both_sides_and_leaves_nothing(void **state)
{
    (void)state;
    struct rig rig;
    struct urd_outcome outcome;
    rig_init(&rig, 64 << 20);
    rig.send.rate.max_bps = 20000000;
    assert_int_equal(urd_runtime_run(NULL, cancelled_body, &rig, &outcome), URD_OK);
    show(&rig);
    assert_int_not_equal(rig.send_err, URD_OK);
    assert_int_not_equal(rig.receive_err, URD_OK);
    assert_false(rig.sink.placed);
    rig_done(&rig);
}

static void a_rate_limit_is_kept(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 2 << 20);
    rig.send.rate.max_bps = 40000000;
    assert_int_equal(rig_run(&rig, NULL), URD_OK);
    show(&rig);
    assert_true(rig_arrived(&rig));
    assert_true(rig.received.seconds > 0.35);
    rig_done(&rig);
}

static void seen(void *arg, const struct urd_fountain_progress *progress)
{
    struct urd_fountain_progress *last = arg;
    assert_true(progress->bytes >= last->bytes);
    *last = *progress;
}

static void progress_ends_at_the_whole(void **state)
{
    (void)state;
    struct rig rig;
    struct urd_fountain_progress last = { 0 };
    rig_init(&rig, 8 << 20);
    rig.send.rate.max_bps = 100000000;
    rig.receive.progress = seen;
    rig.receive.progress_arg = &last;
    assert_int_equal(rig_run(&rig, NULL), URD_OK);
    assert_int_equal(last.bytes, 8 << 20);
    assert_int_equal(last.bytes_total, 8 << 20);
    rig_done(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_awkward_sizes_arrive),
        cmocka_unit_test(nothing_at_all_arrives_too),
        cmocka_unit_test(a_megabyte_arrives_at_any_loss),
        cmocka_unit_test(digests_may_come_over_rpc_too),
        cmocka_unit_test(a_sender_that_knows_no_address_is_found),
        cmocka_unit_test(sixty_four_mebibytes_arrive_through_loss),
        cmocka_unit_test(doubled_late_and_damaged_datagrams_change_nothing),
        cmocka_unit_test(forged_datagrams_change_nothing),
        cmocka_unit_test(a_transfer_is_resumed_where_it_was),
        cmocka_unit_test(a_journalled_block_that_is_not_the_senders_is_fetched_again),
        cmocka_unit_test(a_source_that_changes_ends_both_sides),
        cmocka_unit_test(a_full_disk_ends_both_sides),
        cmocka_unit_test(a_block_that_never_matches_its_digest_ends_both_sides),
        cmocka_unit_test(a_deadline_ends_both_sides_and_leaves_nothing),
        cmocka_unit_test(a_rate_limit_is_kept),
        cmocka_unit_test(progress_ends_at_the_whole),
    };
    return cmocka_run_group_tests_name("fountain/transfer/transfer", tests, NULL, NULL);
}
