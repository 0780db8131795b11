// The types of darkroom.js.

/** A token; or a function that returns one. It is called once, and again when the gateway refuses the token it returned. */
export type Token = string | ((refused?: string | null) => string | null | Promise<string | null>);

export interface DarkroomOptions {
  /** An upload token that your backend has made, or a function that asks for one. */
  token?: Token | null;
  /** An API key, for programs on servers. A key in a page is no secret. */
  key?: string | null;
  /** Used for all requests, except for uploads with progress in browsers. */
  fetch?: typeof fetch;
  /** Give up this long after the first of several failures; 0 means one attempt. The default is 60. */
  retrySeconds?: number;
  /** Files above this size are uploaded in parts, if the gateway takes parts. The default is 5 MiB. */
  resumableBytes?: number;
  /** The size of a part. The default is 4 MiB. */
  chunkBytes?: number;
}

export interface RequestOptions {
  signal?: AbortSignal;
}

export interface UploadOptions extends RequestOptions {
  /** What to do with the file. The default is `upload`: make previews. */
  operation?: "upload" | "crop" | "grayscale" | "resize" | "process";
  /** The name of a file that has none. */
  filename?: string;
  /** Uploads with the same key make one job. By default each call makes its own. */
  idempotencyKey?: string;
  /** The address of an upload in parts that was interrupted, from `onResumable`. */
  resumeFrom?: string;
  /** Called with the address of an upload in parts. Without it, an upload that is aborted is discarded. */
  onResumable?: (address: string) => void;
  /** Called with the share that is sent, from 0 to 1. */
  onProgress?: (share: number) => void;
  format?: string;
  quality?: number;
  /** What is made of an upload. The default is the preset `default`. */
  preset?: string;
  /** Of `process`: what happens to the image, in this order. */
  steps?: (string | Record<string, unknown>)[];
  /** Other fields of the form, see `/openapi.json`. Objects are sent as JSON. */
  [field: string]: unknown;
}

/** An accepted job. It can be stored: what takes a job takes this, too. */
export interface JobHandle {
  taskId: string;
  links: { status: string; result: string };
  /** Lets its owner see this job, without any other token or key. Null if the gateway makes none. */
  viewToken: string | null;
  deduplicatedFrom: string | null;
  /** The fields that the gateway has ignored. */
  warnings: { pointer: string; rule: string; message: string }[];
}

export type JobStatus = "accepted" | "processing" | "done" | "failed" | "dead" | "cancelled";

export interface Rendition {
  url: string;
  filename: string;
  media_type: string;
  format: string;
  width: number;
  height: number;
  bytes: number;
  sha256: string;
  /** All files of the rendition, the best format first. An older gateway sends none. */
  variants?: Variant[];
  /** What `srcset` says for each format. */
  srcset?: Record<string, string>;
  /** The HTML of a `<picture>`. */
  picture?: string;
  /** Changes when the rendition is made again. */
  version?: string;
}

/** One file of a rendition: a format at a density. */
export interface Variant {
  url: string;
  format: string;
  media_type: string;
  dpr: number;
  width: number;
  height: number;
  bytes: number;
  sha256: string;
}

/** One file of a rendition in the bucket of a destination, which the preset names. */
export interface ExportedObject {
  rendition: string;
  format: string;
  dpr: number;
  destination: string;
  key: string;
  bytes: number;
}

export interface Failure {
  stage: string | null;
  code: string;
  message: string;
  errors: Record<string, unknown>[];
}

/** A job as `GET /task-status/{task_id}` answers; it has more fields than these. */
export interface Job {
  task_id: string;
  kind: string;
  status: JobStatus;
  progress: number;
  original: { name: string | null; bytes: number; width: number | null; height: number | null; [fact: string]: unknown };
  placeholder: { thumbhash: string; blurhash: string; color: string } | null;
  renditions: Record<string, Rendition>;
  /** An older gateway sends none. */
  exports?: ExportedObject[];
  failure: Failure | null;
  [field: string]: unknown;
}

/** A job by its id, its handle, or its state. */
export type JobReference = string | { taskId: string; viewToken?: string | null } | { task_id: string };

export interface PictureOptions {
  /** The rendition that is shown, in all its formats and densities. The default is the largest. */
  rendition?: string | null;
  /** As in HTML: how wide the picture is shown, such as `(max-width: 600px) 100vw, 600px`. */
  sizes?: string;
  alt?: string;
}

export interface PictureAttributes {
  /** The attributes of a `<source>` for each format before the last one. */
  sources: { type: string; srcset: string; sizes?: string }[];
  src?: string;
  srcset?: string;
  sizes?: string;
  alt: string;
  width?: number;
  height?: number;
  /** A blur as the data URL of a PNG, to show behind the image until it is loaded. */
  placeholder: string | null;
  color?: string;
}

export declare class Darkroom {
  constructor(url: string | URL, options?: DarkroomOptions);
  upload(file: Blob | BufferSource | null, options?: UploadOptions): Promise<JobHandle>;
  uploadFrom(url: string | URL, options?: UploadOptions): Promise<JobHandle>;
  follow(job: JobReference, options?: RequestOptions): AsyncGenerator<Job, void, void>;
  wait(job: JobReference, options?: RequestOptions): Promise<Job>;
  status(job: JobReference, options?: RequestOptions): Promise<Job>;
  result(job: JobReference, rendition?: string | null, options?: RequestOptions): Promise<Blob>;
  remove(job: JobReference, options?: RequestOptions): Promise<void>;
  capabilities(options?: RequestOptions): Promise<Record<string, unknown>>;
  picture(job: Job, options?: PictureOptions): HTMLImageElement | HTMLPictureElement;
  pictureAttributes(job: Job, options?: PictureOptions): PictureAttributes;
  discard(address: string): Promise<void>;
  forgetToken(): void;
  address(path: string): string;
  request(path: string, options?: RequestInit & { taskId?: string | null; onSent?: (bytes: number, total: number) => void }): Promise<Response>;
}

export declare class DarkroomError extends Error {
  constructor(
    problem?: { status?: number; code?: string; detail?: string; errors?: Record<string, unknown>[]; request_id?: string | null },
    retryAfter?: number | null,
  );
  /** 0 if there is no answer; 200 if the job has ended without results; 421 if an address is not of the gateway's origin. */
  status: number;
  code: string;
  detail: string;
  errors: Record<string, unknown>[];
  requestId: string | null;
  /** In seconds; null if the gateway has not said when to try again. */
  retryAfter: number | null;
  /** The job that has ended without results. */
  job?: Job;
  readonly isTransient: boolean;
}

export interface ServerSentEvent {
  type: string;
  id: string | null;
  retry: number | null;
  text: string;
}

export declare const END_STATUSES: Set<JobStatus>;
export declare function newKey(): string;
export declare function parseRetryAfter(header: string | null): number | null;
export declare function parseEvents(body: ReadableStream<Uint8Array>, onBytes?: () => void): AsyncGenerator<ServerSentEvent, void, void>;
export declare function thumbhashUrl(thumbhash: string | null | undefined): string | null;
export declare function decodeThumbhash(bytes: Uint8Array): { width: number; height: number; pixels: Uint8ClampedArray };
export declare function crc32(bytes: Iterable<number>): number;
