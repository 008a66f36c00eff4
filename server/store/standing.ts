/** Bringing the kept standing of devices to what the view `device_standing` says it is. */

/** Of one device, by its id. */
export const RESTAND = `
UPDATE device SET standing = v.standing FROM device_standing AS v
WHERE v.device_id = device.id AND device.id = ? AND device.standing <> v.standing`;

/** Of all devices of a channel, after its current release changed. */
export const RESTAND_CHANNEL = `
UPDATE device SET standing = v.standing FROM device_standing AS v
WHERE v.device_id = device.id AND device.channel = ? AND device.status = 'accepted' AND device.standing <> v.standing`;
