#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "ipam/local/protocol.hpp"

/// Releases that were promised to a runtime but are not done yet, on this node's disk: a DEL is answered once it is in
/// here, and so works even while the datastore is away.
namespace manul::ipam {

/// A file of DEL requests, written sequentially. Many become durable with one flush. Completion is recorded without a
/// flush: a process that dies loses nothing it has written, and after a power loss no attachment of the old boot is
/// alive, so that repeating a release is harmless.
class DeleteLog {
public:
    /// Opens or creates the file. A torn last line was never acknowledged and is cut off.
    [[nodiscard]] static Result<DeleteLog> open(const std::string& path);

    /// What is not done yet, in order.
    [[nodiscard]] const std::map<std::uint64_t, Request>& pending() const noexcept { return pending_; }
    /// Durable when it returns. Gives an id to each request, in order.
    [[nodiscard]] Result<std::vector<std::uint64_t>> append(std::span<const Request> requests);
    /// Written when it returns: an id may be used again from then on. Where that fails (full disk), it is written with
    /// what comes next.
    void done(std::span<const std::uint64_t> ids);

private:
    DeleteLog(UniqueFd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

    static constexpr std::uint64_t kLength = std::uint64_t{1} << 20U;

    [[nodiscard]] Result<void> load();
    void lengthen();
    void cut_off();
    /// Replaces the file by one that holds only what is pending.
    [[nodiscard]] Result<void> compact();
    [[nodiscard]] Result<void> write(const std::string& text);

    UniqueFd file_;
    std::string path_;
    std::map<std::uint64_t, Request> pending_;
    std::uint64_t next_id_ = 1;
    std::uint64_t size_ = 0;          ///< of what is written; zeros follow
    std::uint64_t length_ = kLength;  ///< of the file; when it is full, it is begun anew
    std::string unwritten_;           ///< what done() could not write
};

/// DEL requests that the plugin left in `<state_dir>/cni-journal/` while this daemon was away: one file each, moved
/// into place when complete.
struct JournalFile {
    std::string path;
    Request request;
};
struct JournalScan {
    std::vector<JournalFile> files;
    std::vector<std::string> refused;  ///< what could not be read and why, one line a file; put aside as `*.refused`
};
[[nodiscard]] JournalScan scan_journal(const std::string& directory);
/// The release of this request's attachment, if one waits there.
[[nodiscard]] std::optional<JournalFile> find_journal_file(const std::string& directory, const Request& request);
void remove_journal_file(const JournalFile& file);

}  // namespace manul::ipam
