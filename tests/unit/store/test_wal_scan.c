/* SPDX-License-Identifier: Apache-2.0 */
/* The scanner over logs made here, byte by byte. Real ones: test_store_recovery.c. */
#include "fixture_store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/wal_scan.h"

enum { HEADER = 7, FULL = 1, FIRST, MIDDLE, LAST };

static void
add_fragment(struct buffer *log, uint8_t type, const uint8_t *payload, size_t size)
{
    size_t at = log->size;
    uint8_t header[HEADER] = {0, 0, 0, 0, (uint8_t)size, (uint8_t)(size >> 8), type};
    buffer_append(log, header, sizeof header);
    buffer_append(log, payload, size);
    uint32_t crc = wal_crc32c_mask(wal_crc32c((struct bytes){log->data + at + 6, size + 1}));
    for (int i = 0; i < 4; i++)
        log->data[at + (size_t)i] = (uint8_t)(crc >> (8 * i));
}

/* As RocksDB writes: pads a block's last bytes, cuts a record at block ends. */
static void
add_record(struct buffer *log, const uint8_t *payload, size_t size)
{
    bool first = true;
    for (;;) {
        size_t left = WAL_BLOCK_SIZE - log->size % WAL_BLOCK_SIZE;
        for (; left > 0 && left < HEADER; left--)
            buffer_append_byte(log, 0);
        left = WAL_BLOCK_SIZE - log->size % WAL_BLOCK_SIZE;
        size_t part = size < left - HEADER ? size : left - HEADER;
        bool last = part == size;
        add_fragment(log, first ? (last ? FULL : FIRST) : (last ? LAST : MIDDLE), payload, part);
        if (last)
            return;
        payload += part;
        size -= part;
        first = false;
    }
}

static void
add_filled(struct buffer *log, size_t size, uint8_t fill)
{
    uint8_t *payload = malloc(size + 1);
    memset(payload, fill, size);
    add_record(log, payload, size);
    free(payload);
}

static struct wal_report
scan(const uint8_t *data, size_t size)
{
    struct wal_scanner scanner;
    wal_scanner_init(&scanner);
    for (size_t at = 0; at < size; at += WAL_BLOCK_SIZE) {
        size_t part = size - at < WAL_BLOCK_SIZE ? size - at : WAL_BLOCK_SIZE;
        uint8_t *block = malloc(part); /* of exactly this size: reads beyond it are found */
        memcpy(block, data + at, part);
        wal_scanner_block(&scanner, (struct bytes){block, part}, at + part == size);
        free(block);
    }
    return scanner.report;
}

static void
checksum_is_crc32c(void **state)
{
    (void)state;
    uint8_t bytes[32];
    assert_int_equal(wal_crc32c(bytes_of("")), 0);
    assert_int_equal(wal_crc32c(bytes_of("123456789")), 0xe3069283);
    /* RFC 3720, B.4 */
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(wal_crc32c((struct bytes){bytes, 32}), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(wal_crc32c((struct bytes){bytes, 32}), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    assert_int_equal(wal_crc32c((struct bytes){bytes, 32}), 0x46dd794e);
    assert_int_equal(wal_crc32c_mask(0), 0xa282ead8);
    assert_int_equal(wal_crc32c_mask(0xe3069283), 0xc78ab0e5);
}

static void
whole_logs_are_clean_whatever_their_records_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,     1,     12,    100,   32747, 32748, 32749, 32750, 32754,
                                   32755, 32756, 32757, 32761, 32762, 65522, 70000, 200000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buffer log;
        buffer_init(&log);
        add_filled(&log, sizes[i], 'a');
        add_filled(&log, 3, 'b');
        add_filled(&log, sizes[i], 'c');
        struct wal_report report = scan(log.data, log.size);
        assert_int_equal(report.state, WAL_CLEAN);
        assert_int_equal(report.writes, 3);
        buffer_clear(&log);
    }
    assert_int_equal(scan(NULL, 0).state, WAL_CLEAN);
}

static void
an_empty_batch_is_no_write(void **state)
{
    (void)state;
    static const uint8_t empty[12] = {9, 8, 7};
    static const uint8_t one[12] = {9, 8, 7, 0, 0, 0, 0, 0, 1};
    struct buffer log;
    buffer_init(&log);
    add_record(&log, empty, sizeof empty);
    assert_int_equal(scan(log.data, log.size).writes, 0);
    add_record(&log, one, sizeof one);
    assert_int_equal(scan(log.data, log.size).writes, 1);
    buffer_clear(&log);
}

static void
a_log_cut_anywhere_in_its_last_record_is_torn(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 60, 70000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buffer log;
        buffer_init(&log);
        add_filled(&log, 50, 'a');
        size_t whole = log.size;
        add_filled(&log, sizes[i], 'b');
        size_t step = log.size > 1000 ? 977 : 1;

        assert_int_equal(scan(log.data, whole).state, WAL_CLEAN);
        for (size_t size = whole + 1; size < log.size; size += step) {
            struct wal_report report = scan(log.data, size);
            assert_int_equal(report.state, WAL_TORN);
            assert_int_equal(report.offset, whole);
            assert_int_equal(report.writes, 1);
        }
        buffer_clear(&log);
    }
}

static void
zeros_to_the_end_are_torn_but_not_a_hole_of_them(void **state)
{
    (void)state;
    struct buffer log;
    buffer_init(&log);
    add_filled(&log, 50, 'a');
    size_t whole = log.size;
    for (int i = 0; i < 80000; i++)
        buffer_append_byte(&log, 0);

    static const size_t sizes[] = {1, 6, 7, 8, 100, 32700, 40000, 80000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct wal_report report = scan(log.data, whole + sizes[i]);
        assert_int_equal(report.state, WAL_TORN);
        assert_int_equal(report.offset, whole);
    }
    static const size_t holes[] = {10, 3000, 32800, 79999};
    for (size_t i = 0; i < sizeof holes / sizeof holes[0]; i++) {
        log.data[whole + holes[i]] = 1;
        struct wal_report report = scan(log.data, log.size);
        assert_int_equal(report.state, WAL_DAMAGED);
        assert_int_equal(report.offset, whole);
        log.data[whole + holes[i]] = 0;
    }
    buffer_clear(&log);
}

/* Every bit of every byte of three small records. */
static void
any_flipped_bit_is_damage_at_its_record(void **state)
{
    (void)state;
    struct buffer log;
    buffer_init(&log);
    size_t starts[4];
    for (uint8_t i = 0; i < 3; i++) {
        starts[i] = log.size;
        add_filled(&log, 40u + i, (uint8_t)('a' + i));
    }
    starts[3] = log.size;

    for (size_t record = 0; record < 3; record++) {
        for (size_t at = starts[record]; at < starts[record + 1]; at++) {
            for (int bit = 0; bit < 8; bit++) {
                log.data[at] ^= (uint8_t)(1u << bit);
                struct wal_report report = scan(log.data, log.size);
                assert_int_equal(report.state, WAL_DAMAGED);
                assert_int_equal(report.offset, starts[record]);
                assert_non_null(report.reason);
                log.data[at] ^= (uint8_t)(1u << bit);
            }
        }
    }
    assert_int_equal(scan(log.data, log.size).state, WAL_CLEAN);
    buffer_clear(&log);
}

/* All 65535 wrong lengths of a record, first and last of the log. */
static void
any_wrong_length_is_damage(void **state)
{
    (void)state;
    struct buffer log;
    buffer_init(&log);
    add_filled(&log, 40, 'a');
    size_t second = log.size;
    add_filled(&log, 40, 'b');

    const size_t starts[] = {0, second};
    for (size_t i = 0; i < 2; i++) {
        for (unsigned length = 0; length <= UINT16_MAX; length++) {
            if (length == 40)
                continue;
            log.data[starts[i] + 4] = (uint8_t)length;
            log.data[starts[i] + 5] = (uint8_t)(length >> 8);
            struct wal_report report = scan(log.data, log.size);
            assert_int_equal(report.state, WAL_DAMAGED);
            assert_int_equal(report.offset, starts[i]);
        }
        log.data[starts[i] + 4] = 40;
        log.data[starts[i] + 5] = 0;
    }
    buffer_clear(&log);
}

/* Length and checksum both wrong: only what stands behind tells. */
static void
a_record_that_swallows_valid_ones_is_damage(void **state)
{
    (void)state;
    struct buffer log;
    buffer_init(&log);
    add_filled(&log, 40, 'a');
    add_filled(&log, 40, 'b');
    log.data[0] ^= 1;
    log.data[5] = 0x10;

    struct wal_report report = scan(log.data, log.size);
    assert_int_equal(report.state, WAL_DAMAGED);
    assert_int_equal(report.offset, 0);
    assert_non_null(strstr(report.reason, "behind"));
    buffer_clear(&log);
}

static void
flips_in_a_record_of_many_blocks_are_damage(void **state)
{
    (void)state;
    struct buffer log;
    buffer_init(&log);
    add_filled(&log, 100, 'a');
    add_filled(&log, 100000, 'b');
    static const size_t starts[] = {107, 32768, 65536, 98304};

    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        for (size_t byte = 0; byte < HEADER + 2; byte++) {
            for (int bit = 0; bit < 8; bit++) {
                log.data[starts[i] + byte] ^= (uint8_t)(1u << bit);
                assert_int_equal(scan(log.data, log.size).state, WAL_DAMAGED);
                log.data[starts[i] + byte] ^= (uint8_t)(1u << bit);
            }
        }
    }
    assert_int_equal(scan(log.data, log.size).state, WAL_CLEAN);
    buffer_clear(&log);
}

static void
fragments_out_of_order_are_damage(void **state)
{
    (void)state;
    static const uint8_t orders[][2] = {{MIDDLE, 0}, {LAST, 0}, {FULL, LAST}, {FIRST, FULL}};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct buffer log;
        buffer_init(&log);
        for (int j = 0; j < 2 && orders[i][j]; j++)
            add_fragment(&log, orders[i][j], (const uint8_t *)"x", 1);
        assert_int_equal(scan(log.data, log.size).state, WAL_DAMAGED);
        buffer_clear(&log);
    }
}

/* FIRST and MIDDLE reach to their block's end, and only MIDDLE or LAST may follow them. */
static void
a_begun_record_must_go_on_in_the_next_block(void **state)
{
    (void)state;
    uint8_t filler[WAL_BLOCK_SIZE - HEADER] = {1};
    static const struct {
        uint8_t type;
        enum wal_state state;
    } followers[] = {{LAST, WAL_CLEAN},  {FULL, WAL_DAMAGED}, {FIRST, WAL_DAMAGED},
                     {MIDDLE, WAL_TORN}, {5, WAL_DAMAGED},    {6, WAL_DAMAGED},
                     {7, WAL_DAMAGED},   {8, WAL_DAMAGED},    {9, WAL_DAMAGED},
                     {130, WAL_DAMAGED}};

    for (size_t i = 0; i < sizeof followers / sizeof followers[0]; i++) {
        struct buffer log;
        buffer_init(&log);
        add_fragment(&log, FIRST, filler, sizeof filler);
        add_fragment(&log, followers[i].type, filler, sizeof filler);
        assert_int_equal(scan(log.data, log.size).state, followers[i].state);
        buffer_clear(&log);
    }

    struct buffer log;
    buffer_init(&log);
    add_fragment(&log, FIRST, filler, sizeof filler - 20);
    assert_int_equal(scan(log.data, log.size).state, WAL_DAMAGED);
    buffer_clear(&log);
}

static void
types_that_are_never_written_are_damage(void **state)
{
    (void)state;
    for (unsigned type = 5; type <= UINT8_MAX; type++) {
        struct buffer log;
        buffer_init(&log);
        add_fragment(&log, (uint8_t)type, (const uint8_t *)"payload", 7);
        assert_int_equal(scan(log.data, log.size).state, WAL_DAMAGED);
        assert_int_equal(scan(log.data, log.size - 1).state, WAL_DAMAGED);
        buffer_clear(&log);
    }
}

static void
files_that_cannot_be_read_are_named(void **state)
{
    struct fixture *fixture = *state;
    struct wal_report report = {.state = WAL_TORN};
    int folder = open(fixture->root, O_RDONLY | O_DIRECTORY);
    assert_true(folder >= 0);

    assert_int_equal(wal_scan_file(folder, "000001.log", &report, &fixture->error),
                     STATUS_STORE_FAILED);
    assert_non_null(strstr(fixture->error.message, "000001.log"));
    assert_int_equal(mkdirat(folder, "000002.log", 0700), 0);
    assert_int_equal(wal_scan_file(folder, "000002.log", &report, &fixture->error),
                     STATUS_STORE_FAILED);
    assert_int_equal(symlinkat("/dev/zero", folder, "000003.log"), 0);
    assert_int_equal(wal_scan_file(folder, "000003.log", &report, &fixture->error),
                     STATUS_STORE_FAILED);
    assert_int_equal(report.state, WAL_TORN);
    close(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksum_is_crc32c),
        cmocka_unit_test(whole_logs_are_clean_whatever_their_records_sizes),
        cmocka_unit_test(an_empty_batch_is_no_write),
        cmocka_unit_test(a_log_cut_anywhere_in_its_last_record_is_torn),
        cmocka_unit_test(zeros_to_the_end_are_torn_but_not_a_hole_of_them),
        cmocka_unit_test(any_flipped_bit_is_damage_at_its_record),
        cmocka_unit_test(any_wrong_length_is_damage),
        cmocka_unit_test(a_record_that_swallows_valid_ones_is_damage),
        cmocka_unit_test(flips_in_a_record_of_many_blocks_are_damage),
        cmocka_unit_test(fragments_out_of_order_are_damage),
        cmocka_unit_test(a_begun_record_must_go_on_in_the_next_block),
        cmocka_unit_test(types_that_are_never_written_are_damage),
        cmocka_unit_test_setup_teardown(files_that_cannot_be_read_are_named, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
