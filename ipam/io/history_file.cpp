#include "ipam/io/history_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace manul::ipam {

void HistoryFile::append(std::span<const HistoryEntry> entries) {
    if (entries.empty()) {
        return;
    }
    if (bytes_ > kMostBytes) {
        file_ = UniqueFd();
        std::rename(path_.c_str(), (path_ + ".1").c_str());
    }
    if (!file_) {
        file_ = UniqueFd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
        struct stat status{};
        bytes_ = file_ && ::fstat(file_.get(), &status) == 0 ? static_cast<std::size_t>(status.st_size) : 0;
    }
    if (!file_) {
        return;
    }
    std::string text;
    for (const HistoryEntry& entry : entries) {
        text += print(entry);
    }
    const ssize_t written = ::write(file_.get(), text.data(), text.size());
    bytes_ += written > 0 ? static_cast<std::size_t>(written) : 0;
}

}  // namespace manul::ipam
