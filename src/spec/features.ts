/** features.md and features-linux.md: what `tsrun features` prints. */
import { capabilityNumbers } from '../util/capability-names.ts';
import type { Features, LinuxFeatures, SeccompFeatures } from './generated/features.ts';
import { configAnnotations } from './annotations.ts';
import { isIdMapOption, mountOptions } from './mount-options.ts';
import { hookKinds } from './rules/hooks.ts';
import { specVersionMax, specVersionMin } from './versions.ts';

/** What is said about seccomp where filters can be made. */
export interface SeccompBuild {
  /** Version of libseccomp, such as `2.5.4`. */
  readonly libraryVersion: string;
  /** Flags that can be set; a subset of the known ones. */
  readonly supportedFlags: NonNullable<SeccompFeatures['supportedFlags']>;
}

/** Which optional parts are implemented; the kernel at hand plays no role. */
export interface FeatureClaims {
  readonly cgroupV1: boolean;
  readonly cgroupV2: boolean;
  readonly systemd: boolean;
  readonly systemdUser: boolean;
  readonly rdma: boolean;
  readonly apparmor: boolean;
  readonly selinux: boolean;
  readonly intelRdt: boolean;
  readonly memoryPolicy: boolean;
  readonly idmap: boolean;
  readonly netDevices: boolean;
}

/** The claims that hold for this version of tsrun: the one place to change when something is implemented. */
export const currentClaims: FeatureClaims = {
  cgroupV1: true,
  cgroupV2: true,
  systemd: true,
  systemdUser: true,
  rdma: true,
  apparmor: true,
  selinux: true,
  intelRdt: true,
  memoryPolicy: true,
  idmap: true,
  netDevices: true,
};

/** Which tsrun the document is about. */
export interface FeaturesBuild {
  readonly version: string;
  readonly commit: string;
  /** Absent without libseccomp. */
  readonly seccomp?: SeccompBuild;
  /** Claims that differ from the current ones. */
  readonly claims?: Partial<FeatureClaims>;
}

/** The features document of a build. */
export function features(build: FeaturesBuild): Features {
  const claims = { ...currentClaims, ...build.claims };
  return {
    ociVersionMin: specVersionMin,
    ociVersionMax: specVersionMax,
    hooks: [...hookKinds],
    mountOptions: [...mountOptions.keys()].filter((name) => claims.idmap || !isIdMapOption(name)).sort(),
    linux: linuxFeatures(claims, build.seccomp),
    annotations: {
      'org.tsrun.version': build.version,
      'org.tsrun.commit': build.commit,
      // Whether there is a CRIU depends on the host, as with runc's annotation of this kind.
      'org.tsrun.checkpoint.enabled': 'true',
      ...(build.seccomp && { 'io.github.seccomp.libseccomp.version': build.seccomp.libraryVersion }),
    },
    potentiallyUnsafeConfigAnnotations: Object.values(configAnnotations).sort(),
  };
}

function linuxFeatures(claims: FeatureClaims, seccomp: SeccompBuild | undefined): LinuxFeatures {
  return {
    namespaces: ['cgroup', 'ipc', 'mount', 'network', 'pid', 'time', 'user', 'uts'],
    capabilities: [...capabilityNumbers.keys()],
    cgroup: {
      v1: claims.cgroupV1,
      v2: claims.cgroupV2,
      systemd: claims.systemd,
      systemdUser: claims.systemdUser,
      rdma: claims.rdma,
    },
    seccomp: seccomp === undefined ? { enabled: false } : seccompFeatures(seccomp),
    apparmor: { enabled: claims.apparmor },
    selinux: { enabled: claims.selinux },
    intelRdt: { enabled: claims.intelRdt, schemata: claims.intelRdt, monitoring: claims.intelRdt },
    memoryPolicy: claims.memoryPolicy ? memoryPolicyFeatures() : { modes: [], flags: [] },
    mountExtensions: { idmap: { enabled: claims.idmap } },
    netDevices: { enabled: claims.netDevices },
  };
}

function memoryPolicyFeatures(): NonNullable<LinuxFeatures['memoryPolicy']> {
  return {
    modes: [
      'MPOL_DEFAULT',
      'MPOL_BIND',
      'MPOL_INTERLEAVE',
      'MPOL_WEIGHTED_INTERLEAVE',
      'MPOL_PREFERRED',
      'MPOL_PREFERRED_MANY',
      'MPOL_LOCAL',
    ],
    flags: ['MPOL_F_NUMA_BALANCING', 'MPOL_F_RELATIVE_NODES', 'MPOL_F_STATIC_NODES'],
  };
}

function seccompFeatures(seccomp: SeccompBuild): SeccompFeatures {
  return {
    enabled: true,
    actions: [
      'SCMP_ACT_ALLOW',
      'SCMP_ACT_ERRNO',
      'SCMP_ACT_KILL',
      'SCMP_ACT_KILL_PROCESS',
      'SCMP_ACT_KILL_THREAD',
      'SCMP_ACT_LOG',
      'SCMP_ACT_NOTIFY',
      'SCMP_ACT_TRACE',
      'SCMP_ACT_TRAP',
    ],
    operators: [
      'SCMP_CMP_EQ',
      'SCMP_CMP_GE',
      'SCMP_CMP_GT',
      'SCMP_CMP_LE',
      'SCMP_CMP_LT',
      'SCMP_CMP_MASKED_EQ',
      'SCMP_CMP_NE',
    ],
    // Those of libseccomp 2.5; LoongArch, m68k and SuperH came with 2.6.
    archs: [
      'SCMP_ARCH_AARCH64',
      'SCMP_ARCH_ARM',
      'SCMP_ARCH_MIPS',
      'SCMP_ARCH_MIPS64',
      'SCMP_ARCH_MIPS64N32',
      'SCMP_ARCH_MIPSEL',
      'SCMP_ARCH_MIPSEL64',
      'SCMP_ARCH_MIPSEL64N32',
      'SCMP_ARCH_PARISC',
      'SCMP_ARCH_PARISC64',
      'SCMP_ARCH_PPC',
      'SCMP_ARCH_PPC64',
      'SCMP_ARCH_PPC64LE',
      'SCMP_ARCH_RISCV64',
      'SCMP_ARCH_S390',
      'SCMP_ARCH_S390X',
      'SCMP_ARCH_X32',
      'SCMP_ARCH_X86',
      'SCMP_ARCH_X86_64',
    ],
    knownFlags: [
      'SECCOMP_FILTER_FLAG_LOG',
      'SECCOMP_FILTER_FLAG_SPEC_ALLOW',
      'SECCOMP_FILTER_FLAG_TSYNC',
      'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV',
    ],
    supportedFlags: [...seccomp.supportedFlags],
  };
}
