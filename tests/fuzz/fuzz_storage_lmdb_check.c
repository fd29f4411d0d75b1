/* Any bytes as LMDB's data file: looking it over never reads where it must not, and a file that
 * passes is read to its end by LMDB without a fault. */
#include <assert.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/kv_lmdb.h"
#include "storage/lmdb_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

static char dir[32];
static char data[sizeof dir + 16], lock[sizeof dir + 16];

static void remove_all(void)
{
    unlink(data);
    unlink(lock);
    rmdir(dir);
}

static bool make_dir(const char *template)
{
    strcpy(dir, template);
    return mkdtemp(dir) != NULL;
}

static void set_up(void)
{
    if (data[0] != 0) return;
    if (!make_dir("/dev/shm/urd-fuzz-XXXXXX") && !make_dir("/tmp/urd-fuzz-XXXXXX")) {
        perror(dir);
        abort();
    }
    strcat(strcpy(data, dir), "/data.mdb");
    strcat(strcpy(lock, dir), "/urd.lock");
    atexit(remove_all);
}

static void read_all(void)
{
    struct storage_lmdb_options options = { .map_bytes = 64 << 20, .read_only = true };
    struct storage_verify_result result;
    struct storage_snapshot *snapshot;
    struct storage *store;
    char errmsg[256];
    if (storage_lmdb_open(dir, &options, &store, errmsg, sizeof errmsg) != URD_OK) return;
    if (storage_snapshot_begin(store, "fuzz", 0, &snapshot) == URD_OK) {
        (void)!storage_verify(snapshot, NULL, NULL, &result);
        storage_snapshot_end(snapshot);
    }
    storage_close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    char errmsg[256];
    set_up();
    int fd = open(data, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, bytes, bytes_len) != (ssize_t)bytes_len) abort();
    close(fd);
    if (lmdb_check(dir, errmsg, sizeof errmsg) == URD_OK) read_all();
    return 0;
}
