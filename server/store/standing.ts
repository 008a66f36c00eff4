/** Bringing the kept standing of devices to what the view `device_standing` says it is. */

/** Of one device, by its id. */
export const RESTAND = `
UPDATE device SET standing = v.standing FROM device_standing AS v
WHERE v.device_id = device.id AND device.id = ? AND device.standing <> v.standing`;

/**
 * Of all devices of a channel, by its name and the revision of its new current release. At 100,000 devices this one
 * statement takes seconds, in which other writes wait; in steps, a release would for a while have devices that are
 * current with the one before it.
 */
export const RESTAND_CHANNEL = `
UPDATE device SET standing = v.standing FROM device_release AS v
WHERE v.device_id = device.id AND v.channel = ? AND v.revision = ? AND device.standing <> v.standing`;
