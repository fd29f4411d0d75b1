/* bench_storage [--json] [--seconds S] [--dir DIR] [N ...]: how fast the journal is made durable.
 *
 *   direct N   one thread, N records of 200 bytes a transaction: what the store can do
 *   tasks N    N tasks that each wait for one record after another: what group commit makes of it
 *   read       histories of 6 records in as many groups
 *
 * Records a second over S seconds each (default 2) on LMDB in DIR (default: a new one below the
 * working directory, for /tmp may be no disk); N defaults to 1, 64, 1024. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/runtime.h"
#include "storage/committer.h"
#include "storage/journal.h"
#include "storage/kv_lmdb.h"

#define PAYLOAD_BYTES 200u
#define HISTORY_STEPS 6u

static bool json;
static double seconds = 2;

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(urd_err err)
{
    if (err == URD_OK) return;
    (void)fprintf(stderr, "bench_storage: %s\n", urd_err_text(err));
    exit(1);
}

static void report(const char *what, unsigned n, double took, uint64_t records, uint64_t commits,
                   uint64_t bytes)
{
    double rate = (double)records / took, commit_rate = (double)commits / took;
    if (json)
        (void)printf("{\"bench\":\"storage\",\"what\":\"%s\",\"n\":%u,\"records_per_s\":%.0f,"
                     "\"commits_per_s\":%.0f,\"grown_bytes_per_record\":%.0f}\n",
                     what, n, rate, commit_rate, (double)bytes / (double)records);
    else
        (void)printf("%-7s %6u %12.0f records/s %10.0f commits/s %8.0f bytes grown a record\n",
                     what, n, rate, commit_rate, (double)bytes / (double)records);
    (void)fflush(stdout);
}

/* A saga of one record each: the id is the number. */
static urd_err append_one(struct storage_tx *tx, void *arg)
{
    static const uint8_t payload[PAYLOAD_BYTES];
    uint8_t saga[STORAGE_SAGA_ID_BYTES] = { 0 };
    uint64_t *number = arg, lsn;
    memcpy(saga, number, sizeof *number);
    return storage_tx_journal_append(tx, saga, 1, 0, 1, payload, sizeof payload, &lsn);
}

static uint64_t used_bytes(struct storage *store, uint64_t *ret_commits)
{
    struct storage_info info;
    storage_info(store, &info);
    *ret_commits = info.commits;
    return info.used_bytes;
}

static void measure_direct(struct storage *store, unsigned n)
{
    uint64_t records = 0, commits_before, commits;
    uint64_t before = used_bytes(store, &commits_before);
    double start = now();
    while (now() - start < seconds) {
        struct storage_tx *tx;
        must(storage_tx_begin(store, &tx));
        for (unsigned i = 0; i < n; i++, records++)
            must(storage_tx_run(tx, append_one, &records));
        must(storage_tx_commit(tx, false));
    }
    double took = now() - start;
    uint64_t grown = used_bytes(store, &commits) - before;
    report("direct", n, took, records, commits - commits_before, grown);
}

/* --- tasks ----------------------------------------------------------------------------------- */

struct crowd {
    struct storage *store;
    struct storage_committer *committer;
    unsigned n;
    uint64_t records, until_ns;
};

static urd_err one_of_many(struct urd_cx *cx, void *arg)
{
    struct crowd *crowd = arg;
    while (urd_cx_now(cx) < crowd->until_ns) {
        uint64_t number = __atomic_fetch_add(&crowd->records, 1, __ATOMIC_RELAXED);
        must(storage_commit(cx, crowd->committer, append_one, &number));
    }
    return URD_OK;
}

static urd_err crowd_task(struct urd_cx *cx, void *arg)
{
    struct crowd *crowd = arg;
    URD_REGION(outer);
    URD_REGION(tasks);
    if (!urd_region_open(cx, NULL, outer)) return URD_E_NOMEM;
    must(urd_spawn(cx, urd_region_scope(outer), NULL, storage_committer_run, crowd->committer));
    crowd->until_ns = urd_cx_now(cx) + (uint64_t)(seconds * 1e9);
    if (!urd_region_open(cx, NULL, tasks))
        must(URD_E_NOMEM);
    else {
        for (unsigned i = 0; i < crowd->n; i++)
            must(urd_spawn(cx, urd_region_scope(tasks), NULL, one_of_many, crowd));
        urd_region_join(cx, tasks, NULL);
    }
    storage_committer_close(crowd->committer);
    urd_region_join(cx, outer, NULL);
    return URD_OK;
}

static void measure_tasks(struct storage *store, unsigned n)
{
    struct crowd crowd = { .store = store, .n = n };
    uint64_t commits_before, commits;
    must(storage_committer_new(store, NULL, &crowd.committer));
    uint64_t before = used_bytes(store, &commits_before);
    double start = now();
    must(urd_runtime_run(NULL, crowd_task, &crowd, NULL));
    double took = now() - start;
    uint64_t grown = used_bytes(store, &commits) - before;
    report("tasks", n, took, crowd.records, commits - commits_before, grown);
    storage_committer_free(crowd.committer);
}

/* --- reading --------------------------------------------------------------------------------- */

struct step {
    uint64_t saga, seq, lsn;
};

static urd_err append_step(struct storage_tx *tx, void *arg)
{
    static const uint8_t payload[PAYLOAD_BYTES];
    uint8_t id[STORAGE_SAGA_ID_BYTES] = { 0xff };
    struct step *step = arg;
    memcpy(id + 8, &step->saga, sizeof step->saga);
    return storage_tx_journal_append(tx, id, step->seq, step->lsn, 1, payload, sizeof payload,
                                     &step->lsn);
}

static urd_err count_record(void *arg, const struct storage_record *record)
{
    (void)record;
    ++*(uint64_t *)arg;
    return URD_OK;
}

/* @n sagas side by side, a step of each in every group. */
static void measure_read(struct storage *store, unsigned n)
{
    struct step *steps = calloc(n, sizeof *steps);
    uint64_t records = 0;
    if (steps == NULL) must(URD_E_NOMEM);
    for (uint64_t seq = 1; seq <= HISTORY_STEPS; seq++) {
        struct storage_tx *tx;
        must(storage_tx_begin(store, &tx));
        for (unsigned i = 0; i < n; i++) {
            steps[i].saga = i;
            steps[i].seq = seq;
            must(storage_tx_run(tx, append_step, &steps[i]));
        }
        must(storage_tx_commit(tx, false));
    }
    double start = now();
    for (unsigned i = 0; now() - start < seconds; i = (i + 1) % n) {
        struct storage_snapshot *snapshot;
        uint8_t id[STORAGE_SAGA_ID_BYTES] = { 0xff };
        memcpy(id + 8, &steps[i].saga, sizeof steps[i].saga);
        must(storage_snapshot_begin(store, "bench", 0, &snapshot));
        must(storage_journal_history(snapshot, steps[i].lsn, id, count_record, &records));
        storage_snapshot_end(snapshot);
    }
    report("read", n, now() - start, records, 0, 0);
    free(steps);
}

/* --- main ------------------------------------------------------------------------------------ */

static void bench(const char *dir, unsigned n)
{
    char path[4096], name[4200], errmsg[256];
    struct storage *store;
    (void)snprintf(path, sizeof path, "%s/urd-bench-XXXXXX", dir);
    if (mkdtemp(path) == NULL) must(URD_E_SYSTEM);
    must(storage_lmdb_open(path, NULL, &store, errmsg, sizeof errmsg));
    measure_direct(store, n);
    measure_tasks(store, n);
    measure_read(store, n);
    storage_close(store);
    static const char *files[] = { "data.mdb", "lock.mdb", "urd.lock" };
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        (void)snprintf(name, sizeof name, "%s/%s", path, files[i]);
        (void)unlink(name);
    }
    (void)rmdir(path);
}

int main(int argc, char **argv)
{
    static const unsigned usual[] = { 1, 64, 1024 };
    const char *dir = ".";
    unsigned given = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            seconds = strtod(argv[++i], NULL);
        } else if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc) {
            dir = argv[++i];
        } else {
            unsigned long n = strtoul(argv[i], NULL, 10);
            if (n == 0 || n > 10000) {
                (void)fprintf(stderr, "usage: %s [--json] [--seconds S] [--dir DIR] [N ...]\n",
                              argv[0]);
                return 2;
            }
            bench(dir, (unsigned)n);
            given++;
        }
    }
    for (unsigned i = 0; given == 0 && i < sizeof usual / sizeof *usual; i++)
        bench(dir, usual[i]);
    return 0;
}
