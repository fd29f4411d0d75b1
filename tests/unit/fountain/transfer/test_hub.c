/* The hub: each session gets its own, strangers cost a lookup, the table keeps its order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fountain/transfer/hub_internal.h"
#include "runtime/runtime.h"

static urd_err run_hub(struct urd_cx *cx, void *arg)
{
    return urd_fountain_hub_run(cx, arg);
}

static void send_id(struct urd_cx *cx, struct urd_udp *udp, const struct urd_address *to,
                    uint64_t id, uint8_t mark)
{
    uint8_t bytes[64] = { [63] = mark };
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(id >> (56 - 8 * i));
    struct urd_datagram d = { .address = *to, .bytes = bytes, .len = sizeof bytes };
    assert_int_equal(urd_udp_send(cx, udp, &d, 1), URD_OK);
}

static urd_err table(struct urd_cx *cx, void *arg)
{
    enum { MANY = 300 };
    struct urd_fountain_hub *hub = arg;
    struct urd_channel *inbox;
    assert_int_equal(urd_channel_new(sizeof(struct urd_fountain_inbox_item), 4, &inbox), URD_OK);
    /* come and go in every order: nobody is lost, nobody stays */
    for (uint64_t id = 0; id < MANY; id++)
        assert_int_equal(urd_fountain_hub_attach(cx, hub, id * id, inbox), URD_OK);
    for (uint64_t id = 0; id < MANY; id++)
        assert_int_equal(urd_fountain_hub_attach(cx, hub, id * id, inbox), URD_E_EXISTS);
    for (uint64_t id = 0; id < MANY; id += 2)
        urd_fountain_hub_detach(cx, hub, id * id);
    for (uint64_t id = 0; id < MANY; id++)
        assert_int_equal(urd_fountain_hub_attach(cx, hub, id * id, inbox),
                         id % 2 ? URD_E_EXISTS : URD_OK);
    for (uint64_t id = MANY; id < URD_FOUNTAIN_SESSIONS_MAX; id++)
        assert_int_equal(urd_fountain_hub_attach(cx, hub, id * id, inbox), URD_OK);
    assert_int_equal(urd_fountain_hub_attach(cx, hub, 7, inbox), URD_E_FULL);
    for (uint64_t id = 0; id < URD_FOUNTAIN_SESSIONS_MAX; id++)
        urd_fountain_hub_detach(cx, hub, id * id);
    urd_channel_free(inbox);
    return URD_OK;
}

static urd_err deliver(struct urd_cx *cx, void *arg)
{
    struct urd_fountain_hub *hub = arg;
    struct urd_channel *a, *b;
    struct urd_udp *udp;
    struct urd_address local, to;
    struct urd_fountain_inbox_item item;
    assert_int_equal(urd_channel_new(sizeof item, 4, &a), URD_OK);
    assert_int_equal(urd_channel_new(sizeof item, 4, &b), URD_OK);
    assert_int_equal(urd_fountain_hub_attach(cx, hub, 10, a), URD_OK);
    assert_int_equal(urd_fountain_hub_attach(cx, hub, 11, b), URD_OK);
    assert_int_equal(urd_address_parse("127.0.0.1:0", &local), URD_OK);
    assert_int_equal(urd_udp_open(cx, &local, 0, &udp), URD_OK);
    urd_fountain_hub_local(hub, &to);
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    assert_int_equal(urd_spawn(cx, urd_region_scope(r), NULL, run_hub, hub), URD_OK);

    send_id(cx, udp, &to, 12, 0);
    for (uint8_t i = 0; i < 6; i++) /* two more than the inbox holds */
        send_id(cx, udp, &to, 10, i);
    send_id(cx, udp, &to, 11, 77);
    assert_int_equal(urd_channel_receive(cx, b, &item, URD_FOREVER), URD_OK);
    struct urd_fountain_packet *packet = item.ptr;
    assert_int_equal(packet->bytes[63], 77);
    assert_int_equal(packet->len, 64);
    assert_true(urd_address_port(&packet->from) != 0 && packet->arrival_ns > 0);
    urd_fountain_hub_packet_free(hub, packet);
    for (uint8_t i = 0; i < 4; i++) {
        assert_int_equal(urd_channel_try_receive(a, &item), URD_OK);
        packet = item.ptr;
        assert_int_equal(packet->bytes[63], i);
        urd_fountain_hub_packet_free(hub, packet);
    }
    assert_int_equal(urd_channel_try_receive(a, &item), URD_E_BUSY);
    struct urd_fountain_hub_stats stats;
    urd_fountain_hub_stats(hub, &stats);
    assert_int_equal(stats.unknown, 1);
    assert_int_equal(stats.dropped, 2);
    assert_int_equal(stats.sessions_active, 2);

    urd_region_close(cx, r, NULL);
    urd_fountain_hub_detach(cx, hub, 10);
    urd_fountain_hub_detach(cx, hub, 11);
    urd_udp_close(udp);
    urd_channel_free(a);
    urd_channel_free(b);
    return URD_OK;
}

static urd_err with_hub(struct urd_cx *cx, void *arg)
{
    urd_err (*const *body)(struct urd_cx *, void *) = arg;
    struct urd_address local;
    struct urd_fountain_hub *hub;
    assert_int_equal(urd_address_parse("127.0.0.1:0", &local), URD_OK);
    assert_int_equal(urd_fountain_hub_open(cx, &local, &hub), URD_OK);
    urd_err err = (*body)(cx, hub);
    urd_fountain_hub_close(hub);
    return err;
}

static void sessions_come_and_go_in_any_order(void **state)
{
    (void)state;
    urd_err (*body)(struct urd_cx *, void *) = table;
    assert_int_equal(urd_runtime_run(NULL, with_hub, &body, NULL), URD_OK);
}

static void each_gets_its_own_and_a_full_one_harms_nobody(void **state)
{
    (void)state;
    urd_err (*body)(struct urd_cx *, void *) = deliver;
    assert_int_equal(urd_runtime_run(NULL, with_hub, &body, NULL), URD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_come_and_go_in_any_order),
        cmocka_unit_test(each_gets_its_own_and_a_full_one_harms_nobody),
    };
    return cmocka_run_group_tests_name("fountain/transfer/hub", tests, NULL, NULL);
}
