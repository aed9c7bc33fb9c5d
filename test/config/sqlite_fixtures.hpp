#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include <unistd.h>

#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): mkdtemp

namespace manul::test {

/// A directory of its own, removed with everything in it. In memory where possible: what is tested does not depend on
/// how long a disk takes to flush.
class ScratchDirectory {
public:
    ScratchDirectory()
        : path_((::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + std::string("/manul-store-test-XXXXXX")) {
        if (::mkdtemp(path_.data()) == nullptr) {
            path_.clear();
        }
    }
    ~ScratchDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::string database() const { return path_ + "/store.db"; }

private:
    std::string path_;
};

}  // namespace manul::test
