/**
 * A disk that keeps only what was synced: file contents after fsync of the file, names after fsync of the directory. At
 * a power cut everything else may be there, be gone, be torn, or be there out of order.
 * @module
 */
import { type Bytes, concatBytes } from "@nix-ota/common";
import type { FileFacts } from "../system.ts";

/** What a name stands for. */
export type Node =
  | { readonly kind: "file"; readonly inode: number; readonly mode: number }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "directory"; readonly mode: number };

interface Inode {
  readonly content: Bytes;
  /** What survives a power cut for certain; null where nothing was ever synced. */
  readonly durable: Bytes | null;
}

/** Names that change together or not at all, below one directory. */
interface NameChange {
  readonly directory: string;
  readonly changes: readonly (readonly [path: string, node: Node | null])[];
}

/** The disk as plain data, to be copied and cut. */
export interface Disk {
  readonly names: Map<string, Node>;
  readonly durableNames: Map<string, Node>;
  readonly inodes: Map<number, Inode>;
  pending: readonly NameChange[];
  nextInode: number;
}

/** What a power cut does to what was not synced. */
export type Loss = "drop" | "keep" | "random";

const EMPTY: Bytes = new Uint8Array();

/** An empty disk. */
export function createDisk(): Disk {
  return { names: new Map(), durableNames: new Map(), inodes: new Map(), pending: [], nextInode: 1 };
}

/** A copy that shares nothing that changes. */
export function cloneDisk(disk: Disk): Disk {
  return {
    names: new Map(disk.names),
    durableNames: new Map(disk.durableNames),
    inodes: new Map(disk.inodes),
    pending: disk.pending,
    nextInode: disk.nextInode,
  };
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

/** Memory, not disk: gone after a power cut, never to be synced. */
function isVolatile(path: string): boolean {
  return path.startsWith("/run/") || path.startsWith("/proc/");
}

function change(disk: Disk, changes: NameChange["changes"]): void {
  for (const [path, node] of changes) {
    if (node === null) disk.names.delete(path);
    else disk.names.set(path, node);
  }
  const [first] = changes;
  if (first !== undefined && !isVolatile(first[0])) {
    disk.pending = [...disk.pending, { directory: parentOf(first[0]), changes }];
  }
}

function missing(path: string): Error {
  return new Deno.errors.NotFound(`no such file: ${path}`);
}

function fileAt(disk: Disk, path: string): Extract<Node, { kind: "file" }> {
  const node = disk.names.get(path);
  if (node?.kind !== "file") throw missing(path);
  return node;
}

/** The content of a file, or null. */
export function readFile(disk: Disk, path: string): Bytes | null {
  const node = disk.names.get(path);
  return node?.kind === "file" ? disk.inodes.get(node.inode)?.content ?? EMPTY : null;
}

/** Creates or replaces a file's content. */
export function writeFile(disk: Disk, path: string, content: Bytes, mode: number): void {
  const node = disk.names.get(path);
  if (node?.kind === "file") {
    const before = disk.inodes.get(node.inode);
    disk.inodes.set(node.inode, { content, durable: before?.durable ?? null });
    return;
  }
  if (disk.names.get(parentOf(path))?.kind !== "directory" && !isVolatile(path)) throw missing(parentOf(path));
  const inode = disk.nextInode++;
  disk.inodes.set(inode, { content, durable: null });
  change(disk, [[path, { kind: "file", inode, mode }]]);
}

/** Adds to a file. */
export function appendFile(disk: Disk, path: string, content: Bytes, mode: number): void {
  writeFile(disk, path, concatBytes(readFile(disk, path) ?? EMPTY, content), mode);
}

/** fsync: of a file its content, of a directory its names. */
export function syncPath(disk: Disk, path: string): void {
  const node = disk.names.get(path);
  if (node?.kind === "directory") {
    disk.pending = disk.pending.filter((one) => {
      if (one.directory !== path) return true;
      apply(disk.durableNames, one);
      return false;
    });
    return;
  }
  const { inode } = fileAt(disk, path);
  const content = disk.inodes.get(inode)?.content ?? EMPTY;
  disk.inodes.set(inode, { content, durable: content });
}

/** `sync`: everything. */
export function syncAll(disk: Disk): void {
  for (const one of disk.pending) apply(disk.durableNames, one);
  disk.pending = [];
  for (const [inode, { content }] of disk.inodes) disk.inodes.set(inode, { content, durable: content });
}

function apply(names: Map<string, Node>, { changes }: NameChange): void {
  for (const [path, node] of changes) {
    if (node === null) names.delete(path);
    else names.set(path, node);
  }
}

/** rename(2), within one directory. */
export function renameFile(disk: Disk, from: string, to: string): void {
  const node = disk.names.get(from);
  if (node === undefined) throw missing(from);
  if (parentOf(from) !== parentOf(to)) throw new Error(`the fake disk renames within one directory only: ${from}`);
  change(disk, [[from, null], [to, node]]);
}

/** Removes a name; nothing happens where there is none. */
export function removeName(disk: Disk, path: string): void {
  if (disk.names.has(path)) change(disk, [[path, null]]);
}

/** Makes a link. */
export function makeLink(disk: Disk, target: string, path: string): void {
  if (disk.names.has(path)) throw new Deno.errors.AlreadyExists(path);
  change(disk, [[path, { kind: "link", target }]]);
}

/** Makes a directory and those above it. */
export function makeDirectories(disk: Disk, path: string, mode: number): void {
  if (path === "/" || disk.names.get(path)?.kind === "directory") return;
  makeDirectories(disk, parentOf(path), mode);
  change(disk, [[path, { kind: "directory", mode }]]);
}

/** Names directly below a directory, sorted. */
export function listNames(disk: Disk, path: string): readonly string[] {
  const prefix = `${path}/`;
  return [...disk.names.keys()].filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes("/"))
    .map((name) => name.slice(prefix.length)).sort();
}

/** What a path leads to, links followed, or null. */
export function statPath(disk: Disk, path: string): FileFacts | null {
  const node = disk.names.get(path);
  if (node === undefined) return null;
  if (node.kind === "link") return statPath(disk, node.target);
  if (node.kind === "directory") return { kind: "directory", sizeBytes: 0, mode: node.mode };
  return { kind: "file", sizeBytes: disk.inodes.get(node.inode)?.content.length ?? 0, mode: node.mode };
}

/** What is left after a power cut. */
export function cutPower(disk: Disk, loss: Loss, random: () => number): void {
  const names = new Map([...disk.durableNames].filter(([path]) => !isVolatile(path)));
  for (const one of disk.pending) {
    if (survives(loss, random)) apply(names, one);
  }
  dropOrphans(names);
  disk.names.clear();
  for (const [path, node] of names) disk.names.set(path, node);
  disk.durableNames.clear();
  for (const [path, node] of names) disk.durableNames.set(path, node);
  disk.pending = [];
  for (const [inode, { content, durable }] of disk.inodes) {
    const left = durable === content ? content : survivor({ content, durable, loss, random });
    disk.inodes.set(inode, { content: left, durable: left });
  }
}

function survives(loss: Loss, random: () => number): boolean {
  return loss === "keep" || (loss === "random" && random() < 0.5);
}

/** The content of a file that was not synced: the old, the new, nothing, the beginning of the new, or as many zeros. */
function survivor({ content, durable, loss, random }: {
  content: Bytes;
  durable: Bytes | null;
  loss: Loss;
  random: () => number;
}): Bytes {
  const old = durable ?? EMPTY;
  if (loss !== "random") return loss === "keep" ? content : old;
  const choices = [
    old,
    content,
    EMPTY,
    content.slice(0, Math.floor(content.length * random())),
    new Uint8Array(content.length),
  ];
  return choices[Math.floor(random() * choices.length)] ?? old;
}

/** A directory that was lost takes what was in it along. */
function dropOrphans(names: Map<string, Node>): void {
  for (const path of [...names.keys()].sort()) {
    const parent = parentOf(path);
    if (parent !== "/" && names.get(parent)?.kind !== "directory") names.delete(path);
  }
}
