#include "ipam/io/attachment_tracker.hpp"

#include <fmt/core.h>
#include <catch2/catch.hpp>

namespace manul::ipam {
namespace {

const Attachment kAttachment{"c1", "eth0"};
const NetworkAttachment kOfNet{kAttachment, "net"};

Request del_of(const NetworkAttachment& of) {
    Request request;
    request.op = Op::del;
    request.attachment = of.first;
    request.network = of.second;
    return request;
}

TEST_CASE("a DEL that comes while the logged one is carried out is repeated after it") {
    AttachmentTracker tracker;
    tracker.begin_del(kAttachment);
    CHECK_FALSE(tracker.is_logged(kOfNet));
    tracker.log_del(kOfNet);
    CHECK(tracker.is_logged(kOfNet));
    CHECK(tracker.is_ending(kAttachment));
    tracker.repeat_del(kOfNet, del_of(kOfNet));
    tracker.repeat_del(kOfNet, del_of(kOfNet));
    CHECK(tracker.settle_del(kOfNet) == std::vector{del_of(kOfNet)});
    CHECK(tracker.has_ended(kOfNet));
    CHECK_FALSE(tracker.is_logged(kOfNet));
    CHECK_FALSE(tracker.is_ending(kAttachment));
    CHECK_FALSE(tracker.is_known(kAttachment));
    tracker.begin_del(kAttachment);
    CHECK(tracker.settle_del(kOfNet).empty());
}

TEST_CASE("an attachment has ended when the last of its DELs is settled") {
    AttachmentTracker tracker;
    tracker.begin_del(kAttachment);
    tracker.begin_del(kAttachment);
    tracker.log_del(kOfNet);
    tracker.repeat_del(kOfNet, del_of(kOfNet));
    CHECK(tracker.settle_del(kOfNet).empty());
    CHECK(tracker.is_ending(kAttachment));
    CHECK_FALSE(tracker.has_ended(kOfNet));
    CHECK(tracker.settle_del(kOfNet).size() == 1);
    CHECK(tracker.has_ended(kOfNet));
}

TEST_CASE("an ADD makes void what earlier DELs of its attachment did, and no other's") {
    const NetworkAttachment other{kAttachment, "other"};
    AttachmentTracker tracker;
    for (const NetworkAttachment& of : {kOfNet, other}) {
        tracker.begin_del(of.first);
        tracker.log_del(of);
        tracker.repeat_del(of, del_of(of));
    }
    tracker.begin_add(kOfNet);
    CHECK_FALSE(tracker.is_logged(kOfNet));
    CHECK(tracker.is_logged(other));
    tracker.log_del(kOfNet);  // the ADD may take effect after this DEL
    CHECK_FALSE(tracker.is_logged(kOfNet));
    CHECK(tracker.settle_del(kOfNet).empty());
    CHECK(tracker.settle_del(other) == std::vector{del_of(other)});
    CHECK_FALSE(tracker.has_ended(kOfNet));
    CHECK(tracker.has_ended(other));
    tracker.begin_add(other);
    CHECK_FALSE(tracker.has_ended(other));
}

TEST_CASE("an attachment is known from its first ADD until its DEL, and of one network") {
    AttachmentTracker tracker;
    CHECK_FALSE(tracker.is_known(kAttachment));
    tracker.begin_add(kOfNet);
    CHECK(tracker.is_adding(kAttachment));
    CHECK(tracker.is_known(kAttachment));
    tracker.end_add(kOfNet, false);
    CHECK_FALSE(tracker.is_known(kAttachment));
    CHECK_FALSE(tracker.is_of_another_network({kAttachment, "other"}));

    tracker.begin_add(kOfNet);
    tracker.end_add(kOfNet, true);
    CHECK_FALSE(tracker.is_adding(kAttachment));
    CHECK(tracker.is_known(kAttachment));
    CHECK(tracker.is_of_another_network({kAttachment, "other"}));
    CHECK_FALSE(tracker.is_of_another_network(kOfNet));

    tracker.begin_del(kAttachment);
    CHECK(tracker.settle_del({kAttachment, "other"}).empty());
    CHECK(tracker.is_known(kAttachment));
    tracker.begin_del(kAttachment);
    CHECK(tracker.settle_del(kOfNet).empty());
    CHECK_FALSE(tracker.is_known(kAttachment));
}

TEST_CASE("the latest DELs alone are remembered") {
    AttachmentTracker tracker;
    const auto of = [](std::size_t i) { return NetworkAttachment{{fmt::format("c{}", i), "eth0"}, "net"}; };
    for (std::size_t i = 0; i <= AttachmentTracker::kEndedRemembered; ++i) {
        tracker.begin_del(of(i).first);
        tracker.log_del(of(i));
        CHECK(tracker.settle_del(of(i)).empty());
    }
    CHECK_FALSE(tracker.has_ended(of(0)));
    CHECK(tracker.has_ended(of(1)));
    CHECK(tracker.has_ended(of(AttachmentTracker::kEndedRemembered)));
}

}  // namespace
}  // namespace manul::ipam
