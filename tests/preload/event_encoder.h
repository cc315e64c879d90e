// SPDX-License-Identifier: Apache-2.0
//
// Encodes an Event with the shim's writer, every field of it: what wire_test and the fuzzer compare with libprotobuf.

#ifndef SOCKTALE_TESTS_PRELOAD_EVENT_ENCODER_H_
#define SOCKTALE_TESTS_PRELOAD_EVENT_ENCODER_H_

#include "event.pb.h"
#include "preload/event_fields.h"
#include "preload/wire.h"

namespace socktale {

inline void EncodeEvent(const Event& e, wire::Writer& w) {
  namespace f = field::event;
  w.Uint<f::kCall>(static_cast<uint64_t>(e.call()));
  w.Sint<f::kFd>(e.fd());
  w.Uint<f::kStartNs>(e.start_ns());
  w.Uint<f::kDurationNs>(e.duration_ns());
  w.Sint<f::kResult>(e.result());
  w.Uint<f::kError>(e.error());
  w.Bytes<f::kPayload>(e.payload().data(), e.payload().size());
  w.Uint<f::kPayloadSize>(e.payload_size());
  w.Uint<f::kSize>(e.size());
  w.Uint<f::kFlags>(e.flags());
  w.Bytes<f::kAddress>(e.address().data(), e.address().size());
  w.Uint<f::kNotes>(e.notes());
  w.Uint<f::kContinuation>(e.continuation());
  w.Sint<f::kNewFd>(e.new_fd());
  w.Uint<f::kSocketId>(e.socket_id());
  w.Uint<f::kInode>(e.inode());
  w.Bytes<f::kLocalAddress>(e.local_address().data(), e.local_address().size());
  w.Uint<f::kDomain>(e.domain());
  w.Uint<f::kType>(e.type());
  w.Uint<f::kProtocol>(e.protocol());
  w.Uint<f::kLevel>(e.level());
  w.Uint<f::kOption>(e.option());
  w.Bytes<f::kPath>(e.path().data(), e.path().size());
  w.PackedSint32<f::kPassed>(e.passed().data(), static_cast<size_t>(e.passed_size()));
  for (const Datagram& datagram : e.datagram()) {
    const std::string& address = datagram.address();
    const size_t size = (datagram.size() == 0 ? 0 : 1 + wire::VarintSize(datagram.size())) +
                        wire::BytesFieldSize(field::datagram::kAddress, address.size());
    wire::Writer nested(w.BytesSpace<f::kDatagram>(size));
    nested.Uint<field::datagram::kSize>(datagram.size());
    nested.Bytes<field::datagram::kAddress>(address.data(), address.size());
  }
  for (const Polled& polled : e.polled()) {
    uint8_t bytes[3 * wire::kMaxNumberField];
    wire::Writer nested(bytes);
    nested.Sint<field::polled::kFd>(polled.fd());
    nested.Uint<field::polled::kEvents>(polled.events());
    nested.Uint<field::polled::kRevents>(polled.revents());
    w.Element<f::kPolled>(bytes, static_cast<size_t>(nested.position() - bytes));
  }
  w.Sint<f::kTimeoutNs>(e.timeout_ns());
  w.Uint<f::kPid>(e.pid());
  w.Bytes<f::kHost>(e.host().data(), e.host().size());
  w.Bytes<f::kService>(e.service().data(), e.service().size());
  for (const std::string& answer : e.answer()) w.Element<f::kAnswer>(answer.data(), answer.size());
  for (const std::string& argument : e.argv()) w.Element<f::kArgv>(argument.data(), argument.size());
  w.Uint<f::kKind>(static_cast<uint64_t>(e.kind()));
  w.Uint<f::kReason>(static_cast<uint64_t>(e.reason()));
  w.Uint<f::kParentPid>(e.parent_pid());
  w.Uint<f::kPeerPid>(e.peer_pid());
  w.Bytes<f::kPeerAddress>(e.peer_address().data(), e.peer_address().size());
  w.Uint<f::kOffset>(e.offset());
  w.Bytes<f::kCwd>(e.cwd().data(), e.cwd().size());
  w.Uint<f::kNetworkNamespace>(e.network_namespace());
  w.Uint<f::kPidNamespace>(e.pid_namespace());
  w.Uint<f::kParentProcess>(e.parent_process());
  w.Uint<f::kLimit>(e.limit());
  w.Uint<f::kRttUs>(e.rtt_us());
  w.Uint<f::kRetransmits>(e.retransmits());
  w.Uint<f::kUser>(e.user());
  w.Bytes<f::kName>(e.name().data(), e.name().size());
  w.Uint<f::kListening>(e.listening() ? 1 : 0);
  w.Uint<f::kCloseOnExec>(e.close_on_exec() ? 1 : 0);
  w.Uint<f::kStatusFlags>(e.status_flags());
  w.Uint<f::kNewSocketId>(e.new_socket_id());
}

}  // namespace socktale

#endif  // SOCKTALE_TESTS_PRELOAD_EVENT_ENCODER_H_
