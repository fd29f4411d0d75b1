/* UDP over loopback: bursts, batches, losses and their counts. */
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/net.h"
#include "tests/support/in_task.h"

#define BUFFER_BYTES (4u << 20)
#define SKIPPED      77

static struct urd_udp *opened(struct urd_cx *cx, const char *local)
{
    struct urd_address address;
    struct urd_udp *udp;
    CHECK_OK(urd_address_parse(local, &address));
    CHECK_OK(urd_udp_open(cx, &address, BUFFER_BYTES, &udp));
    return udp;
}

/* Byte @i of datagram @n. */
static uint8_t pattern(uint32_t n, uint32_t i)
{
    return (uint8_t)(n * 31 + i * 7 + (i >> 8));
}

static void make(struct urd_datagram *d, const struct urd_udp *to, uint32_t n, uint32_t len)
{
    *d = (struct urd_datagram){ .bytes = malloc(len + 1), .cap = len, .len = len };
    urd_udp_local(to, &d->address);
    for (uint32_t i = 0; i < len; i++)
        d->bytes[i] = pattern(n, i);
}

static void check_is(const struct urd_datagram *d, uint32_t n, uint32_t len)
{
    CHECK(d->len == len);
    for (uint32_t i = 0; i < len; i++)
        CHECK(d->bytes[i] == pattern(n, i));
}

/* Receive exactly @count datagrams into fresh buffers of @cap; returns how many calls it took. */
static unsigned receive_all(struct urd_cx *cx, struct urd_udp *udp, struct urd_datagram *ret,
                            uint32_t count, uint32_t cap)
{
    unsigned calls = 0;
    for (uint32_t i = 0; i < count; i++)
        ret[i] = (struct urd_datagram){ .bytes = malloc(cap), .cap = cap };
    for (uint32_t have = 0; have < count; calls++) {
        uint32_t got;
        CHECK_OK(
            urd_udp_receive(cx, udp, ret + have, count - have, urd_cx_now(cx) + 2000 * MS, &got));
        CHECK(got > 0 && got <= count - have);
        have += got;
    }
    return calls;
}

static void free_all(struct urd_datagram *datagrams, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(datagrams[i].bytes);
}

/* Send and receive datagrams of @lens; returns the sender's count of bursts. */
static uint64_t send_lengths(struct urd_cx *cx, const char *local, const uint32_t *lens,
                             uint32_t count)
{
    struct urd_udp *from = opened(cx, local), *to = opened(cx, local);
    struct urd_datagram out[URD_UDP_BATCH_MAX], in[URD_UDP_BATCH_MAX];
    struct urd_address source;
    for (uint32_t i = 0; i < count; i++)
        make(&out[i], to, i, lens[i]);
    CHECK_OK(urd_udp_send(cx, from, out, count));
    (void)receive_all(cx, to, in, count, 65000);
    urd_udp_local(from, &source);
    for (uint32_t i = 0; i < count; i++) {
        check_is(&in[i], i, lens[i]);
        CHECK(urd_address_equal(&in[i].address, &source));
    }
    struct urd_udp_stats sent, received;
    urd_udp_stats(from, &sent);
    urd_udp_stats(to, &received);
    CHECK(sent.sent == count && sent.send_dropped == 0);
    CHECK(received.received == count && received.receive_dropped == 0);
    CHECK(received.kernel_dropped == 0);
    free_all(out, count);
    free_all(in, count);
    urd_udp_close(from);
    urd_udp_close(to);
    CHECK(received.received_bursts <= sent.sent_bursts);
    return sent.sent_bursts;
}

static urd_err equal_lengths_body(struct urd_cx *cx, void *arg)
{
    const uint32_t sizes[] = { 1, 2, 1200, 1472, 9000, 32000 };
    uint32_t lens[URD_UDP_BATCH_MAX];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (uint32_t i = 0; i < URD_UDP_BATCH_MAX; i++)
            lens[i] = sizes[s];
        /* As few as can be, of at most 64 datagrams and 65000 bytes; a single one is none. */
        uint32_t a_burst = sizes[s] * 64 <= 65000 ? 64 : 65000 / sizes[s];
        CHECK(send_lengths(cx, arg, lens, URD_UDP_BATCH_MAX) == 64 / a_burst + (64 % a_burst > 1));
    }
    return URD_OK;
}

static void a_full_batch_of_one_length_arrives_whole_and_in_order(void **state)
{
    (void)state;
    run_in_task(equal_lengths_body, "127.0.0.1:0");
}

static void the_same_over_ipv6(void **state)
{
    (void)state;
    run_in_task(equal_lengths_body, "[::1]:0");
}

static urd_err mixed_lengths_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    const uint32_t lens[] = { 100,  100,  100, 50,   100,   101,   101, 0, 0, 7,
                              1400, 1400, 3,   1400, 60000, 60000, 1,   1, 1 };
    CHECK(send_lengths(cx, "127.0.0.1:0", lens, sizeof lens / sizeof *lens) == 5);
    return URD_OK;
}

static void runs_end_where_length_grows_or_falls_and_empty_ones_count(void **state)
{
    (void)state;
    run_in_task(mixed_lengths_body, NULL);
}

static urd_err two_targets_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_udp *from = opened(cx, "127.0.0.1:0");
    struct urd_udp *to[2] = { opened(cx, "127.0.0.1:0"), opened(cx, "127.0.0.1:0") };
    struct urd_datagram out[60], in[30];
    /* Runs of 1, 2, 3, ... to alternating targets. */
    for (uint32_t i = 0, run = 1, left = 1, target = 0; i < 60; i++) {
        make(&out[i], to[target], i, 500);
        if (--left == 0) {
            left = ++run;
            target ^= 1;
        }
    }
    uint32_t expected[2] = { 0, 0 };
    CHECK_OK(urd_udp_send(cx, from, out, 60));
    for (unsigned t = 0; t < 2; t++) {
        struct urd_address address;
        urd_udp_local(to[t], &address);
        uint32_t order[60];
        for (uint32_t i = 0; i < 60; i++) {
            if (urd_address_equal(&out[i].address, &address)) order[expected[t]++] = i;
        }
        CHECK(expected[t] <= 36);
        struct urd_datagram *all = in;
        struct urd_datagram more[60];
        if (expected[t] > 30) all = more;
        (void)receive_all(cx, to[t], all, expected[t], 500);
        for (uint32_t i = 0; i < expected[t]; i++)
            check_is(&all[i], order[i], 500);
        free_all(all, expected[t]);
    }
    CHECK(expected[0] + expected[1] == 60);
    free_all(out, 60);
    urd_udp_close(from);
    urd_udp_close(to[0]);
    urd_udp_close(to[1]);
    return URD_OK;
}

static void each_target_gets_its_own(void **state)
{
    (void)state;
    run_in_task(two_targets_body, NULL);
}

static urd_err small_pieces_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_udp *from = opened(cx, "127.0.0.1:0"), *to = opened(cx, "127.0.0.1:0");
    struct urd_datagram out[40], in[40];
    for (uint32_t i = 0; i < 40; i++)
        make(&out[i], to, i, 1000);
    CHECK_OK(urd_udp_send(cx, from, out, 40));
    for (uint32_t i = 0; i < 40; i++) { /* the kernel hands over many, the caller takes one */
        uint32_t got;
        in[i] = (struct urd_datagram){ .bytes = malloc(1000), .cap = 1000 };
        CHECK_OK(urd_udp_receive(cx, to, &in[i], 1, urd_cx_now(cx) + 2000 * MS, &got));
        CHECK(got == 1);
        check_is(&in[i], i, 1000);
    }
    free_all(out, 40);
    free_all(in, 40);
    urd_udp_close(from);
    urd_udp_close(to);
    return URD_OK;
}

static void what_a_call_does_not_take_waits_for_the_next(void **state)
{
    (void)state;
    run_in_task(small_pieces_body, NULL);
}

static urd_err too_long_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_udp *from = opened(cx, "127.0.0.1:0"), *to = opened(cx, "127.0.0.1:0");
    struct urd_datagram out[5], in[3];
    const uint32_t lens[] = { 800, 801, 800, 5000, 10 };
    for (uint32_t i = 0; i < 5; i++)
        make(&out[i], to, i, lens[i]);
    CHECK_OK(urd_udp_send(cx, from, out, 5));
    (void)receive_all(cx, to, in, 3, 800);
    check_is(&in[0], 0, 800);
    check_is(&in[1], 2, 800);
    check_is(&in[2], 4, 10);
    struct urd_udp_stats stats;
    urd_udp_stats(to, &stats);
    CHECK(stats.received == 3 && stats.receive_dropped == 2);
    free_all(out, 5);
    free_all(in, 3);
    urd_udp_close(from);
    urd_udp_close(to);
    return URD_OK;
}

static void one_longer_than_its_buffer_is_dropped_and_counted(void **state)
{
    (void)state;
    run_in_task(too_long_body, NULL);
}

static urd_err refused_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_udp *from = opened(cx, "127.0.0.1:0"), *to = opened(cx, "127.0.0.1:0");
    struct urd_datagram out[6], in[2];
    for (uint32_t i = 0; i < 6; i++)
        make(&out[i], to, i, 300);
    for (uint32_t i = 1; i < 5; i++) /* four that cannot go: the other family, no port */
        CHECK_OK(urd_address_parse(i < 3 ? "[::1]:7" : "127.0.0.1:0", &out[i].address));
    CHECK_OK(urd_udp_send(cx, from, out, 6));
    (void)receive_all(cx, to, in, 2, 300);
    check_is(&in[0], 0, 300);
    check_is(&in[1], 5, 300);
    struct urd_udp_stats stats;
    urd_udp_stats(from, &stats);
    CHECK(stats.sent == 2 && stats.send_dropped == 4);
    free_all(out, 6);
    free_all(in, 2);
    urd_udp_close(from);
    urd_udp_close(to);
    return URD_OK;
}

static void what_the_network_refuses_is_counted_and_the_rest_goes_out(void **state)
{
    (void)state;
    run_in_task(refused_body, NULL);
}

static urd_err errors_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_udp *udp = opened(cx, "127.0.0.1:0"), *second = NULL;
    struct urd_address local;
    struct urd_datagram d = { .bytes = (uint8_t[16]){ 0 }, .cap = 16 };
    uint32_t got = 99;
    urd_udp_local(udp, &local);
    CHECK(urd_address_port(&local) != 0);
    CHECK_ERR(urd_udp_open(cx, &local, 0, &second), URD_E_BUSY);
    CHECK_ERR(urd_udp_open(cx, &(struct urd_address){ .len = 0 }, 0, &second), URD_E_INVALID);
    uint64_t before_ns = urd_cx_now(cx);
    CHECK_ERR(urd_udp_receive(cx, udp, &d, 1, before_ns + 30 * MS, &got), URD_E_TIMEOUT);
    CHECK(urd_cx_now(cx) >= before_ns + 30 * MS);
    CHECK(got == 99 && second == NULL);
    urd_udp_close(udp);
    urd_udp_close(NULL);
    urd_cx_narrow(cx, URD_GATES_ALL & ~(unsigned)URD_GATE_NET, URD_BUDGET_INFINITE);
    CHECK_ERR(urd_udp_open(cx, &local, 0, &second), URD_E_DENIED);
    return URD_OK;
}

static void errors_are_told_and_change_nothing(void **state)
{
    (void)state;
    run_in_task(errors_body, NULL);
}

static urd_err receive_until_cancelled(struct urd_cx *cx, void *arg)
{
    struct urd_datagram d = { .bytes = (uint8_t[16]){ 0 }, .cap = 16 };
    uint32_t got;
    CHECK_ERR(urd_udp_receive(cx, arg, &d, 1, URD_FOREVER, &got), URD_E_CANCELLED);
    return URD_E_CANCELLED;
}

static urd_err cancel_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_udp *udp = opened(cx, "127.0.0.1:0");
    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, receive_until_cancelled, udp));
    CHECK_OK(urd_sleep(cx, 20 * MS));
    struct urd_outcome outcome;
    urd_region_close(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_CANCELLED);
    urd_udp_close(udp);
    return URD_OK;
}

static void a_cancelled_receiver_leaves(void **state)
{
    (void)state;
    run_in_task(cancel_body, NULL);
}

/* ---- a path that refuses bursts: loopback of a network namespace, with an MTU of 1500 ---- */

static urd_err small_mtu_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    uint32_t lens[URD_UDP_BATCH_MAX];
    for (uint32_t i = 0; i < 32; i++)
        lens[i] = i < 16 ? 2000 : 1000; /* the first must be fragmented, so never in a burst */
    CHECK(send_lengths(cx, "127.0.0.1:0", lens, 32) == 1); /* the second half */
    return URD_OK;
}

static int in_small_mtu_namespace(void)
{
    struct ifreq request = { .ifr_name = "lo" };
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0 && unshare(CLONE_NEWNET) != 0) return SKIPPED;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    request.ifr_mtu = 1500;
    if (ioctl(fd, SIOCSIFMTU, &request) != 0) return SKIPPED;
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) return SKIPPED;
    close(fd);
    struct urd_outcome outcome;
    if (urd_runtime_run(NULL, small_mtu_body, NULL, &outcome) != URD_OK) return 1;
    return outcome.kind == URD_OUTCOME_OK ? 0 : 1;
}

static void a_burst_the_path_refuses_goes_out_singly(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(in_small_mtu_namespace());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED) skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_the_path_refuses_goes_out_singly), /* first: it forks */
        cmocka_unit_test(a_full_batch_of_one_length_arrives_whole_and_in_order),
        cmocka_unit_test(the_same_over_ipv6),
        cmocka_unit_test(runs_end_where_length_grows_or_falls_and_empty_ones_count),
        cmocka_unit_test(each_target_gets_its_own),
        cmocka_unit_test(what_a_call_does_not_take_waits_for_the_next),
        cmocka_unit_test(one_longer_than_its_buffer_is_dropped_and_counted),
        cmocka_unit_test(what_the_network_refuses_is_counted_and_the_rest_goes_out),
        cmocka_unit_test(errors_are_told_and_change_nothing),
        cmocka_unit_test(a_cancelled_receiver_leaves),
    };
    return cmocka_run_group_tests_name("runtime/udp", tests, NULL, NULL);
}
