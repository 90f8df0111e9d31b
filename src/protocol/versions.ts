/**
 * The newest release whose packets are known here: 26.3. What is sent by a later one is read as far as it is
 * understood, and what follows is passed over, so that a new Minecraft release never needs a new router.
 */
const newestKnown = 777;

/** Set in the protocol numbers of all snapshots since 1.16.4; lower bits count snapshots, not releases. */
const snapshotBit = 0x40000000;

/** True for the number of a snapshot, which tells nothing about the packets of its version. */
export const isSnapshot = (protocol: number): boolean => protocol >= snapshotBit;

/** True for a version that may have added fields to any packet. */
export const isLaterThanKnown = (protocol: number): boolean => protocol > newestKnown;
