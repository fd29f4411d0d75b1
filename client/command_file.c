/* `urd file …`: liburd's file calls with a progress line for people, or a JSON line for scripts. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caps/time_text.h"
#include "client/client.h"
#include "client/commands_internal.h"
#include "client/connect.h"
#include "client/units.h"

static void format_eta(uint64_t eta_ns, char *ret, size_t ret_len)
{
    if (eta_ns == URD_FOREVER)
        (void)snprintf(ret, ret_len, "?");
    else
        client_format_duration(eta_ns, ret, ret_len);
}

/* One line, written over the one before; with --json one object. */
static void show_progress(void *arg, const struct urd_file_progress *p)
{
    const struct client_invocation *inv = arg;
    if (inv->json) {
        json_t *eta = p->eta_ns == URD_FOREVER ? json_null() : json_real((double)p->eta_ns / 1e9);
        client_print_json(json_pack("{s{sssIsIsfsfso}}", "progress", "node", p->node, "bytes",
                                    (json_int_t)p->bytes, "bytes_total", (json_int_t)p->bytes_total,
                                    "rate_bps", p->rate_bps, "loss", p->loss, "eta_seconds", eta));
        return;
    }
    char done[32], total[32], eta[32];
    client_format_size(p->bytes, done, sizeof done);
    client_format_size(p->bytes_total, total, sizeof total);
    format_eta(p->eta_ns, eta, sizeof eta);
    (void)fprintf(stderr, "\r\033[K%s: %s of %s, %.1f Mbit/s, loss %.1f %%, %s left", p->node, done,
                  total, p->rate_bps / 1e6, p->loss * 100, eta);
}

static struct urd_file_options options_of(const struct client_invocation *inv)
{
    struct urd_file_options options = { .rate_bps = client_number(inv, "rate", 0),
                                        .symbol_bytes =
                                            (uint32_t)client_number(inv, "symbol-size", 0),
                                        .no_resume = client_given(inv, "no-resume"),
                                        .arg = (void *)inv };
    if (inv->json || client_is_terminal()) options.progress = show_progress;
    return options;
}

static void end_progress(const struct client_invocation *inv)
{
    if (!inv->json && client_is_terminal()) (void)fprintf(stderr, "\r\033[K");
}

static void print_result(const struct client_invocation *inv, const struct urd_file_result *r)
{
    char size[32];
    if (inv->json) {
        client_print_json(json_pack("{sssssIsfsfsIsfsfss}", "id", r->id, "node", r->node, "bytes",
                                    (json_int_t)r->bytes, "seconds", r->seconds, "goodput_bps",
                                    r->goodput_bps, "datagrams", (json_int_t)r->datagrams,
                                    "overhead", r->overhead, "loss", r->loss, "digest", r->digest));
        return;
    }
    client_format_size(r->bytes, size, sizeof size);
    (void)printf("%s: %s in %.2f s, %.1f Mbit/s, %.1f %% overhead, %.1f %% loss\n", r->node, size,
                 r->seconds, r->goodput_bps / 1e6, r->overhead * 100, r->loss * 100);
}

static int run_send(struct urd_cx *cx, const struct client_invocation *inv,
                    struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    uint32_t count = 0;
    struct urd_file_options options = options_of(inv);
    struct urd_file_result *results = calloc(URD_FILE_TARGETS_MAX, sizeof *results);
    if (results == NULL) return client_fail(inv, URD_E_NOMEM, NULL);
    urd_err err =
        urd_client_send_files(cx, client, inv->args, inv->args_count - 1,
                              inv->args[inv->args_count - 1], &options, results, &count, why);
    end_progress(inv);
    for (uint32_t i = 0; i < count; i++)
        if (results[i].err == URD_OK)
            print_result(inv, &results[i]);
        else if (!inv->json && count > 1)
            (void)fprintf(stderr, "urd: %s: %s\n", results[i].node, results[i].errmsg);
    free(results);
    return err == URD_OK ? CLIENT_EXIT_DONE : client_fail(inv, err, why);
}

/* What the flags cannot say together, or at all. */
static bool flags_ok(const struct client_invocation *inv)
{
    uint64_t symbol = client_number(inv, "symbol-size", 1280);
    if (client_given(inv, "resume") && client_given(inv, "no-resume")) {
        (void)fprintf(stderr, "urd: --resume or --no-resume, not both\n");
        return false;
    }
    if (symbol < 64 || symbol > 1280 || symbol % 8 != 0) {
        (void)fprintf(stderr, "urd: --symbol-size wants a multiple of 8, 64 to 1280\n");
        return false;
    }
    return true;
}

int client_run_file_send(struct urd_cx *cx, const struct client_invocation *inv)
{
    return flags_ok(inv) ? client_connected(cx, inv, run_send) : CLIENT_EXIT_USAGE;
}

static int run_fetch(struct urd_cx *cx, const struct client_invocation *inv,
                     struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    struct urd_file_options options = options_of(inv);
    struct urd_file_result result;
    urd_err err =
        urd_client_fetch_file(cx, client, inv->args[0], inv->args[1], &options, &result, why);
    end_progress(inv);
    if (err != URD_OK) return client_fail(inv, err, why);
    print_result(inv, &result);
    return CLIENT_EXIT_DONE;
}

int client_run_file_fetch(struct urd_cx *cx, const struct client_invocation *inv)
{
    return flags_ok(inv) ? client_connected(cx, inv, run_fetch) : CLIENT_EXIT_USAGE;
}

static const char *kind_name(enum urd_file_entry_kind kind)
{
    static const char *const names[] = { "other", "file", "directory", "link" };
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : names[0];
}

static void print_entry(void *arg, const struct urd_file_entry *e)
{
    const struct client_invocation *inv = arg;
    char when[URD_CAPS_TIME_TEXT_LEN + 1] = "";
    if (inv->json) {
        json_t *entry = json_pack("{sssssisIsI}", "name", e->name, "kind", kind_name(e->kind),
                                  "mode", (int)e->mode, "bytes", (json_int_t)e->size_bytes,
                                  "mtime_ns", (json_int_t)e->mtime_ns);
        if (e->target[0] != '\0')
            (void)json_object_set_new(entry, "target", json_string(e->target));
        if (e->digest[0] != '\0')
            (void)json_object_set_new(entry, "digest", json_string(e->digest));
        client_print_json(entry);
        return;
    }
    (void)!urd_caps_time_format(e->mtime_ns / 1000000000, when);
    (void)printf("%c%03o %12" PRIu64 " %s %s%s%s\n",
                 e->kind == URD_ENTRY_DIRECTORY ? 'd'
                 : e->kind == URD_ENTRY_LINK    ? 'l'
                                                : '-',
                 (unsigned)e->mode, e->size_bytes, when, e->name,
                 e->target[0] != '\0' ? " -> " : "", e->target);
    if (e->digest[0] != '\0') (void)printf("digest %s\n", e->digest);
}

static int run_ls(struct urd_cx *cx, const struct client_invocation *inv, struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    urd_err err = urd_client_list_files(cx, client, inv->args[0], print_entry, (void *)inv, why);
    return err == URD_OK ? CLIENT_EXIT_DONE : client_fail(inv, err, why);
}

int client_run_file_ls(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_ls);
}

static int run_stat(struct urd_cx *cx, const struct client_invocation *inv,
                    struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    urd_err err = urd_client_stat_file(cx, client, inv->args[0], client_given(inv, "digest"),
                                       print_entry, (void *)inv, why);
    return err == URD_OK ? CLIENT_EXIT_DONE : client_fail(inv, err, why);
}

int client_run_file_stat(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_stat);
}

static int run_rm(struct urd_cx *cx, const struct client_invocation *inv, struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    urd_err err =
        urd_client_remove_file(cx, client, inv->args[0], client_given(inv, "recursive"), why);
    return err == URD_OK ? CLIENT_EXIT_DONE : client_fail(inv, err, why);
}

int client_run_file_rm(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_rm);
}
