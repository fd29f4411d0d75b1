/* Runs a fuzz target over every file of a corpus folder: how builds without libFuzzer replay one.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return -1;
    static uint8_t bytes[1 << 20];
    size_t bytes_len = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);

    uint8_t *exact = malloc(bytes_len + 1); /* so that a sanitizer sees a read past the end */
    if (exact == NULL) return -1;
    memcpy(exact, bytes, bytes_len);
    (void)LLVMFuzzerTestOneInput(exact, bytes_len);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    DIR *dir = opendir(argv[1]);
    if (dir == NULL) {
        perror(argv[1]);
        return 1;
    }
    unsigned count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (replay(path) != 0) {
            perror(path);
            return 1;
        }
        count++;
    }
    (void)closedir(dir);
    if (count == 0) (void)fprintf(stderr, "%s: no corpus files\n", argv[1]);
    return count > 0 ? 0 : 1;
}
