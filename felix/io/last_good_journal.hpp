#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "config/model/kind.hpp"
#include "config/model/resource.hpp"

namespace manul::felix::io {

/// The last accepted version of each object that people apply, so that a restart changes nothing when an object has
/// become invalid meanwhile: `<state_dir>/felix/last-good/journal`, one JSON document a line, newest last, an object
/// without `spec` document for a removal. Appended to; written anew when most of it is outdated.
///
/// Used by one thread at a time: loaded by the main thread, then written by the worker.
class LastGoodJournal {
public:
    explicit LastGoodJournal(const std::string& state_dir);

    /// What the journal holds; damaged lines (a crash while appending) are skipped.
    [[nodiscard]] std::vector<model::ResourcePtr> load();

    struct Entry {
        model::Key key;
        std::shared_ptr<const std::string> document;  ///< null: forget the object
    };
    void write(const std::vector<Entry>& entries);

private:
    [[nodiscard]] bool append(const std::string& text);
    [[nodiscard]] bool rewrite();

    std::string directory_;
    std::string path_;
    UniqueFd file_;
    std::map<model::Key, std::string> live_;
    std::size_t lines_ = 0;
};

}  // namespace manul::felix::io
