// SPDX-License-Identifier: Apache-2.0
// DB::VerifyChecksum would need the C++ object behind a rocksdb_t, whose layout is RocksDB's
// own. It does no more than this for each live table; the public SstFileReader does it too.
#include "store/store_verify.h"

#include <cstdio>
#include <exception>

#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table.h>

extern "C" bool
store_verify_table(const char *path, char *message, size_t size)
{
    try {
        rocksdb::BlockBasedTableOptions table;
        table.no_block_cache = true;
        rocksdb::Options options;
        options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));

        rocksdb::SstFileReader reader(options);
        rocksdb::Status status = reader.Open(path);
        if (status.ok())
            status = reader.VerifyChecksum();
        if (!status.ok())
            snprintf(message, size, "%s", status.ToString().c_str());
        return status.ok();
    } catch (const std::exception &failure) {
        snprintf(message, size, "%s", failure.what());
        return false;
    }
}
