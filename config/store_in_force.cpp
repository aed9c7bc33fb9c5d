#include "config/store_in_force.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <expected>
#include <fstream>
#include <string>
#include <utility>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "config/codec/json.hpp"
#include "config/messages.hpp"
#include "config/model/kind.hpp"

namespace manul::config {

StoreInForce::StoreInForce(std::string path, bool left_over) : path_(std::move(path)) {
    if (left_over) {
        std::getline(std::ifstream(path_), uid_);
    } else {
        ::unlink(path_.c_str());
    }
}

store::StoreResult<std::string> StoreInForce::read_uid(store::Store& store) {
    const auto cluster = store.get({model::Kind::cluster_information, {}, "default"});
    if (!cluster) {
        return cluster.error().code == store::StoreError::Code::not_found
                   ? store::StoreResult<std::string>(std::string{})
                   : std::unexpected(cluster.error());
    }
    auto header = codec::read_header(*cluster->document);
    return header ? std::move(header->uid) : std::string{};
}

bool StoreInForce::is_lost(const std::string& uid, bool empty) const { return empty && !uid_.empty() && uid != uid_; }

void StoreInForce::note(const std::string& uid, bool empty) {
    const std::string& next = empty ? std::string{} : uid;
    if (next == uid_) {
        return;
    }
    if (write(next)) {
        uid_ = next;
        complained_ = false;
    } else if (!std::exchange(complained_, true)) {
        log::emit(kStoreNotRemembered, path_, std::strerror(errno));
    }
}

bool StoreInForce::write(const std::string& uid) const {
    if (uid.empty()) {
        return ::unlink(path_.c_str()) == 0 || errno == ENOENT;
    }
    const std::string text = uid + "\n";
    const std::string temporary = path_ + ".new";
    const UniqueFd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
           std::rename(temporary.c_str(), path_.c_str()) == 0;
}

}  // namespace manul::config
