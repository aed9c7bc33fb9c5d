#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ipam/local/protocol.hpp"

namespace manul::ipam {

/// An attachment together with its network: the same container id and interface in another network is a different
/// attachment.
using NetworkAttachment = std::pair<Attachment, std::string>;

/// Which ADDs and DELs of each attachment are under way, and which have ended; pure. Runtimes send DELs twice, use an
/// id again, and end a container whose ADD is not over: from what is recorded here follows whether a request must wait
/// for another one, has nothing to do, or has to be done once more.
///
/// While a DEL of an attachment is under way, its ADDs wait. A DEL is logged when the disk promises to carry it out: a
/// further one is answered at once, and repeated if it still finds a link afterwards. An ADD makes whatever earlier
/// DELs of its attachment were said to have done void.
class AttachmentTracker {
public:
    /// The latest DELs that are remembered as carried out.
    static constexpr std::size_t kEndedRemembered = 4096;

    void begin_add(const NetworkAttachment& of);
    /// `succeeded`: from now on the attachment is known to be of that network.
    void end_add(const NetworkAttachment& of, bool succeeded);

    /// Each call counts, and is taken back by one of settle_del().
    void begin_del(const Attachment& attachment) { ending_.insert(attachment); }
    /// The DEL is in the log. One that came beside an ADD does not count: the ADD may take effect after it.
    void log_del(const NetworkAttachment& of);
    /// A DEL that came while the logged one is being carried out.
    void repeat_del(const NetworkAttachment& of, Request request) {
        repeated_.insert_or_assign(of, std::move(request));
    }
    /// A DEL was carried out, or had nothing to do. Returns repeated ones, if none of the attachment's is under way any
    /// more: where a link with their name exists, they have to be done.
    [[nodiscard]] std::vector<Request> settle_del(const NetworkAttachment& of);

    [[nodiscard]] bool is_adding(const Attachment& attachment) const { return adding_.contains(attachment); }
    [[nodiscard]] bool is_ending(const Attachment& attachment) const { return ending_.contains(attachment); }
    /// This run has seen an ADD of it that succeeded, or has a request of it under way.
    [[nodiscard]] bool is_known(const Attachment& attachment) const;
    /// The ADD that succeeded was of another network, in which alone the attachment is.
    [[nodiscard]] bool is_of_another_network(const NetworkAttachment& of) const;
    /// A DEL of it is in the log and not carried out yet.
    [[nodiscard]] bool is_logged(const NetworkAttachment& of) const { return logged_.contains(of); }
    /// Its latest DEL was carried out.
    [[nodiscard]] bool has_ended(const NetworkAttachment& of) const { return ended_.contains(of); }

private:
    void remember_ended(const NetworkAttachment& of);

    std::multiset<Attachment> adding_;
    std::multiset<Attachment> ending_;
    /// Of answered ADDs, with their networks.
    std::map<Attachment, std::string> known_;
    std::set<NetworkAttachment> logged_;  ///< of attachments in ending_
    std::map<NetworkAttachment, Request> repeated_;
    std::set<NetworkAttachment> ended_;
    std::deque<NetworkAttachment> ended_order_;
};

}  // namespace manul::ipam
