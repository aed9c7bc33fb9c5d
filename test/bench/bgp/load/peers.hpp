#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/wire/message.hpp"
#include "test/bench/bgp/load/feed.hpp"

namespace manul::bench {

/// Who announced a prefix, plus 1; 0: nobody.
using Origin = std::uint16_t;
inline constexpr Origin kStranger = 0xffff;

/// One peer of the speaker: its session and what it has learned.
struct Peer {
    enum class State : std::uint8_t { idle, connecting, open_sent, open_confirm, established };

    std::uint32_t number = 0;
    std::uint32_t as = 0;
    State state = State::idle;
    UniqueFd fd;
    double retry_at = 0;  ///< of idle: when to connect; under way: when to give up
    double last_sent = 0;
    double last_heard = 0;
    bool stays_down = false;
    bool waits_for_writable = false;
    ByteView stream;  ///< encoded beforehand: what is left to send
    ByteView whole;   ///< sent again when the speaker drops the session
    Bytes queue;      ///< small messages
    Bytes tail;       ///< received: part of a message
    bool receives = true;
    std::vector<Origin> table;  ///< by prefix
    std::uint32_t right = 0;    ///< prefixes that are as expected
    std::uint32_t wanted = 0;   ///< prefixes that are looked at
    double right_at = 0;        ///< since when all are as expected; 0: they are not
};

/// What all peers received.
struct Received {
    std::uint64_t updates = 0;
    std::uint64_t prefixes = 0;
    std::uint64_t bytes = 0;
    std::uint64_t unknown = 0;  ///< prefixes that nobody announced
    std::uint64_t own = 0;      ///< sent back to the peer that announced them
};

/// All peers on one epoll descriptor.
class Peers {
public:
    using OnProbe = std::function<void(const Peer& peer, std::uint32_t probe)>;

    /// `reflector`: the speaker reflects between its clients, else all peers are external.
    Peers(const Options& options, const Prefixes& prefixes, bool reflector);

    void add(std::uint32_t as, bool receives);
    [[nodiscard]] Peer& operator[](std::size_t number) noexcept { return all_[number]; }
    [[nodiscard]] std::vector<Peer>& all() noexcept { return all_; }

    /// Who each prefix is to come from; count() after a change.
    std::vector<Origin> expected;
    /// The peer that a prefix belongs to is not to be told about it.
    void set_owners(std::vector<Origin> owners) { owners_ = std::move(owners); }
    void count();
    [[nodiscard]] bool converged() const noexcept { return not_right_ == 0; }
    [[nodiscard]] std::uint64_t missing() const noexcept;
    [[nodiscard]] const Received& received() const noexcept { return received_; }
    [[nodiscard]] std::uint64_t drops() const noexcept { return drops_; }
    [[nodiscard]] std::uint32_t established() const noexcept { return established_; }
    /// The longest time in which an established session heard nothing; beyond the hold time it is dropped.
    [[nodiscard]] double longest_silence() const noexcept { return longest_silence_; }
    [[nodiscard]] const std::string& last_notification() const noexcept { return last_notification_; }
    void on_probe(OnProbe call) { on_probe_ = std::move(call); }

    /// Sends the stream, which must live on.
    void give(std::size_t peer, ByteView stream);
    /// Sends some bytes behind what waits.
    void send(std::size_t peer, ByteView bytes);
    /// Cuts the connection; it stays down until up().
    void down(std::size_t peer);
    void up(std::size_t peer);

    void poll(int milliseconds);
    /// False when the time is over first.
    template <class Condition>
    bool run_until(Condition&& condition, double seconds, int milliseconds = 5) {
        const double end = now() + seconds;
        while (!condition()) {
            if (now() > end) {
                return false;
            }
            poll(milliseconds);
        }
        return true;
    }
    void run_for(double seconds) {
        run_until([] { return false; }, seconds);
    }

private:
    void count(Peer& peer) const;
    void connect(Peer& peer);
    void connected(Peer& peer);
    void close(Peer& peer, double retry_after);
    void flush(Peer& peer);
    void watch(Peer& peer, int operation, bool writable);
    void read(Peer& peer);
    /// False: the session has ended.
    [[nodiscard]] bool message(Peer& peer, bgp::wire::MessageType type, ByteView body);
    [[nodiscard]] bool update(Peer& peer, ByteView body);
    [[nodiscard]] Origin origin_of(ByteView as_path, ByteView next_hop) const;
    [[nodiscard]] bool learn(Peer& peer, ByteView prefixes, net::Family family, Origin origin);
    void set_learned(Peer& peer);
    void set(Peer& peer, std::uint32_t prefix, Origin origin);
    void tick();

    const Options& options_;
    const Prefixes& prefixes_;
    bool reflector_;
    UniqueFd epoll_;
    std::vector<Peer> all_;
    std::vector<Origin> owners_;
    /// What a read brought, in order. It goes into the peer's table when the read is through: the memory that it needs
    /// is on its way meanwhile.
    struct Learned {
        std::uint32_t prefix;
        Origin origin;
        std::uint8_t length;
    };
    std::vector<Learned> learned_;
    Bytes buffer_;
    Received received_;
    OnProbe on_probe_;
    double next_tick_ = 0;
    std::uint32_t not_right_ = 0;
    std::uint32_t established_ = 0;
    std::uint32_t opening_ = 0;
    std::uint64_t drops_ = 0;
    double longest_silence_ = 0;
    std::string last_notification_;
};

}  // namespace manul::bench
